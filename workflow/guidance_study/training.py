"""The one training loop: keyed draws, EMA, checkpoints from which a killed run goes on to the same weights.

A step waits for nothing: the next step's draws are made while a GPU computes, losses are read every CHECKED steps.
"""

import contextlib
import math
import os
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn

from guidance_study.errors import StudyError
from guidance_study.jobs import setting
from guidance_study.progress import log, track
from guidance_study.randomness import torch_seed

Draws = Callable[[int], tuple[Tensor, ...]]  # step -> tensors on the CPU, a row for each sample of the batch
CHECKED = 100  # steps between looks at the losses on a GPU, which make it wait
KEPT = 2  # checkpoints kept, so that one half-written or lost file costs little


class DivergedTraining(StudyError):
    """A loss was NaN or infinite; the message names the step and the last good checkpoint."""


def learning_rate(step: int, training: dict) -> float:
    """The learning rate of a step (from 0): linear warm-up, then constant or half a cosine down to 0."""
    warmup = training["warmup"]
    if step < warmup:
        return training["lr"] * (step + 1) / warmup
    if training["schedule"] == "constant":
        return training["lr"]
    return training["lr"] * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (training["steps"] - warmup)))


def ema_decay(step: int, decay: float) -> float:
    """Decay of the weight average after a step (from 0), ramped up so that the initial weights are soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


def fit(network: nn.Module, draws: Draws, loss: Callable[..., Tensor], training: dict, *, seed: int, purpose: str,
        checkpoints: Path) -> tuple[dict[str, Tensor], Tensor]:  # fmt: skip
    """Minimise the mean over the batch, `loss(*draws(step))`, a scalar; go on from a checkpoint if there is one.

    `draws(step)` is keyed by the step; its tensors are moved to the network's device. Returns the state dict to
    evaluate (the EMA weights where an EMA is kept) and the losses (steps,). Raises DivergedTraining.
    """
    run = _Run(network, loss, training, checkpoints)
    start = run.resume()
    has_dropout = any(isinstance(m, nn.Dropout) and m.p > 0 for m in network.modules())
    network.train()
    if (mode := setting("compile", "off")) != "off":
        network.compile(mode=mode)
    saved = time.monotonic()
    every = setting("checkpoint_seconds", 60.0)
    check = 1 if run.device.type == "cpu" else CHECKED
    checked = start
    steps = track(range(start, training["steps"]), training["steps"], purpose, start)
    for step, tensors in zip(steps, _drawn(draws, start, training["steps"], run.device), strict=True):
        with torch_seed(seed, f"{purpose}/dropout", step) if has_dropout else contextlib.nullcontext():
            run.step(step, tensors)
        due = time.monotonic() - saved > every
        last = step + 1 == training["steps"]
        if due or last or (step + 1) % check == 0:
            run.stop_if_diverged(checked, step + 1)
            checked = step + 1
        if due or last:
            run.stop_if_weights_are_bad(step)
        if due:
            run.save(step + 1)
            saved = time.monotonic()
    network.eval()
    return run.weights(), run.losses.cpu()


def _drawn(draws: Draws, start: int, stop: int, device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    """The draws of the steps start..stop-1 on the device; for a GPU a thread makes those of the next step ahead."""
    if device.type == "cpu":
        yield from (draws(step) for step in range(start, stop))
        return
    with ThreadPoolExecutor(1) as thread:
        pinned = lambda step: tuple(tensor.pin_memory() for tensor in draws(step))  # noqa: E731
        coming = thread.submit(pinned, start)
        for step in range(start, stop):
            tensors = coming.result()
            coming = thread.submit(pinned, min(step + 1, stop - 1))
            yield tuple(tensor.to(device, non_blocking=True) for tensor in tensors)


class _Run:
    """Network, loss, optimiser, average and losses of one training run."""

    def __init__(self, network: nn.Module, loss: Callable[..., Tensor], training: dict, checkpoints: Path):
        self.network, self.loss, self.training, self.folder = network, loss, training, checkpoints
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training["optimizer"]]
        decay = {"weight_decay": training["weight_decay"]} if training["optimizer"] == "adamw" else {}
        self.optimizer = kind(self.parameters, lr=training["lr"], fused=True, **decay)
        self.average = [p.detach().clone() for p in self.parameters] if training["ema"] is not None else None
        self.device = self.parameters[0].device
        self.losses = torch.full((training["steps"],), math.nan, device=self.device)

    def step(self, step: int, tensors: tuple[Tensor, ...]) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.training)
        value = self.backward(tensors)
        if self.training["clip"] is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.training["clip"])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses[step] = value
        if self.average is not None:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.parameters, 1 - ema_decay(step, self.training["ema"]))

    def backward(self, tensors: tuple[Tensor, ...]) -> Tensor:
        """Gradients of the mean loss over the batch, a micro-batch at a time; returns the loss."""
        batch = len(tensors[0])
        size = self.training["micro_batch"] or batch
        total = torch.zeros((), device=self.device)
        for part in zip(*(tensor.split(size) for tensor in tensors), strict=True):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training["precision"] == "bfloat16"):
                value = self.loss(*part) * (len(part[0]) / batch)
            value.backward()
            total += value.detach()
        return total

    def stop_if_diverged(self, first: int, last: int) -> None:
        bad = (~torch.isfinite(self.losses[first:last])).nonzero()
        if len(bad):
            raise DivergedTraining(f"the loss of step {first + int(bad[0])} is not finite; {self._last_good()}")

    def stop_if_weights_are_bad(self, step: int) -> None:
        """A finite loss may have had a gradient that was not: look before anything is saved."""
        tensors = [*self.parameters, *(self.average or [])]
        if not torch.stack([torch.isfinite(t).all() for t in tensors]).all():
            raise DivergedTraining(f"the weights after step {step} are not finite; {self._last_good()}")

    def _last_good(self) -> str:
        kept = self._saved()
        return f"the last good checkpoint is '{kept[-1]}'" if kept else "no checkpoint had been written yet"

    def weights(self) -> dict[str, Tensor]:
        """The network's state dict, its parameters replaced by their average where one is kept."""
        state = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        if self.average is not None:
            names = [name for name, p in self.network.named_parameters() if p.requires_grad]
            state.update(zip(names, self.average, strict=True))
        return state

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"))

    def save(self, done: int) -> None:
        """Write a checkpoint after `done` steps, atomically, and drop all but the last KEPT."""
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            "done": done,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "losses": self.losses,
        }
        path = self.folder / f"step-{done:08d}.pt"
        scratch = path.with_suffix(f".{os.getpid()}")
        torch.save(state, scratch)
        with scratch.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(scratch, path)  # noqa: PTH105 - the atomic rename
        for old in self._saved()[:-KEPT]:
            old.unlink(missing_ok=True)

    def resume(self) -> int:
        """Steps done before, from the newest checkpoint that can be read; 0 without one."""
        for path in reversed(self._saved()):
            try:
                state = torch.load(path, weights_only=True, map_location=self.losses.device)
            except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
                log(f"checkpoint '{path}' cannot be read ({error}); trying the one before it")
                continue
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.average is not None:
                torch._foreach_copy_(self.average, state["average"])
            self.losses.copy_(state["losses"])
            log(f"going on after step {state['done']} of {self.training['steps']}, from '{path}'")
            return state["done"]
        return 0
