"""The one training loop: keyed draws, EMA, checkpoints from which a killed run goes on to the same weights.

Over several processes each computes the gradients of its share of the batch; all keep the same weights, rank 0 writes.

A step waits for nothing: the next step's draws are made while a GPU computes, losses are read every CHECKED steps.
"""

import contextlib
import hashlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor, nn

from guidance_study.execution.devices import undivided
from guidance_study.execution.distributed import Group, joined
from guidance_study.execution.kernels import set_kernel_cache
from guidance_study.support.errors import StudyError
from guidance_study.support.progress import log, track
from guidance_study.support.settings import setting
from guidance_study.support.text import canonical
from guidance_study.training import checkpoints
from guidance_study.training.dropout import Draws, keyed

STOPS = (signal.SIGTERM, signal.SIGUSR1)  # what schedulers send some time before they kill
CHECKED = 100  # steps between looks at the losses on a GPU, which make it wait
KEPT = 2  # checkpoints kept, so that one half-written or lost file costs little


class DivergedTraining(StudyError):
    """A loss was NaN or infinite; the message names the step and the last good checkpoint."""


class StoppedTraining(StudyError):
    """A signal asked a training to end; the message names the checkpoint from which it goes on."""


def learning_rate(step: int, training: dict) -> float:
    """The learning rate of a step (from 0): linear warm-up, then constant or half a cosine down to 0."""
    warmup = training["warmup"]
    if step < warmup:
        return training["lr"] * (step + 1) / warmup
    if training["lr_schedule"] == "constant":
        return training["lr"]
    return training["lr"] * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (training["steps"] - warmup)))


def ema_decay(step: int, decay: float) -> float:
    """Decay of the weight average after a step (from 0), ramped up so that the initial weights are soon forgotten."""
    return min(decay, (1 + step) / (10 + step))


def fit(network: nn.Module, draws: Draws, loss: Callable[..., Tensor], training: dict, *, seed: int, purpose: str,
        checkpoints: Path) -> tuple[dict[str, Tensor], Tensor]:  # fmt: skip
    """Minimise the mean over the batch, `loss(*draws(step))`, a scalar; go on from a checkpoint if there is one.

    `draws(step)` is keyed by the step; its tensors are moved to the network's device. Returns the state dict to
    evaluate (the EMA weights where an EMA is kept) and the losses (steps,). Raises DivergedTraining, StoppedTraining.
    In a job of several processes it returns in rank 0 alone; the others end.
    """
    network.train()
    if (mode := setting("compile", "off")) != "off":
        set_kernel_cache()
        network.compile(mode=mode)
    device = next(network.parameters()).device
    with joined(device) as group, _stop_signals() as asked, undivided("a step's batch", "training.micro_batch"):
        draws, loss = keyed(network, draws, loss, batch=training["batch_size"], seed=seed, purpose=purpose)
        run = _Run(network, loss, training, checkpoints, belonging(network, training, seed, purpose), group)
        _go(run, draws, asked, purpose)
        network.eval()
        return run.weights(), run.losses.cpu()


def _go(run: "_Run", draws: Draws, asked: list[int], purpose: str) -> None:
    """The steps that are left; where `asked` gets a signal's number, a checkpoint after the step and an end."""
    start, stop, group = run.resume(), run.training["steps"], run.group
    saved = time.monotonic()
    every = setting("checkpoint_seconds", 60.0)
    check = 1 if run.device.type == "cpu" else CHECKED
    checked = start
    steps = range(start, stop) if group.rank else track(range(start, stop), stop, purpose, start)
    for step, tensors in zip(steps, _drawn(draws, start, stop, run.device, group), strict=True):
        run.step(step, tensors)
        due = group.rank == 0 and (bool(asked) or time.monotonic() - saved > every)
        last = step + 1 == stop
        if due or last or (step + 1) % check == 0:
            run.stop_if_diverged(checked, step + 1)
            checked = step + 1
        if due or last:
            run.stop_if_weights_are_bad(step)
        if due:
            run.save(step + 1)
            saved = time.monotonic()
        if due and asked:
            name = signal.Signals(asked[0]).name
            raise StoppedTraining(
                f"stopped by {name} after {step + 1} of {stop} steps; run again to go on: {run.last_good()}"
            )


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """A list that gets the number of a signal that asks for the end."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked  # Python gives signals to the main thread alone
        return
    before = {number: signal.signal(number, lambda number, _: asked.append(number)) for number in STOPS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def belonging(network: nn.Module, training: dict, seed: int, purpose: str) -> str:
    """A digest that ties a checkpoint to this very training: its parameters, and the network's names and shapes."""
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    told = {"training": training, "seed": seed, "purpose": purpose, "network": shapes}
    return hashlib.sha256(canonical(told).encode()).hexdigest()


def _drawn(draws: Draws, start: int, stop: int, device: torch.device, group: Group) -> Iterator[tuple[Tensor, ...]]:
    """This process's share of the draws of the steps start..stop-1, on the device.

    For a GPU a thread makes those of the next step ahead.
    """

    def share(step: int) -> tuple[Tensor, ...]:
        return tuple(tensor[group.share(len(tensor))] for tensor in draws(step))

    if device.type == "cpu":
        yield from map(share, range(start, stop))
        return
    with ThreadPoolExecutor(1) as thread:
        pinned = lambda step: tuple(tensor.pin_memory() for tensor in share(step))  # noqa: E731
        coming = thread.submit(pinned, start)
        for step in range(start, stop):
            tensors = coming.result()
            coming = thread.submit(pinned, min(step + 1, stop - 1))
            yield tuple(tensor.to(device, non_blocking=True) for tensor in tensors)


class _Run:
    """Network, loss, optimiser, average and losses of one training run, in one of its processes."""

    def __init__(self, network: nn.Module, loss: Callable[..., Tensor], training: dict, checkpoints: Path,
                 belongs: str, group: Group):  # fmt: skip
        self.network, self.loss, self.training, self.folder = network, loss, training, checkpoints
        self.belongs, self.group = belongs, group
        self.good: Path | None = None  # the checkpoint last read or written
        self.parameters: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training["optimizer"]]
        decay = {"weight_decay": training["weight_decay"]} if training["optimizer"] == "adamw" else {}
        self.optimizer = kind(self.parameters, lr=training["lr"], fused=True, **decay)
        self.average = [p.detach().clone() for p in self.parameters] if training["ema_decay"] is not None else None
        self.device = self.parameters[0].device
        self.losses = torch.full((training["steps"],), math.nan, device=self.device)

    def step(self, step: int, tensors: tuple[Tensor, ...]) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.training)
        value = self.backward(tensors)
        self.group.add_up([value, *(p.grad for p in self.parameters if p.grad is not None)])
        if self.training["grad_clip"] is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.training["grad_clip"])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses[step] = value
        if self.average is not None:
            with torch.no_grad():
                torch._foreach_lerp_(self.average, self.parameters, 1 - ema_decay(step, self.training["ema_decay"]))

    def backward(self, tensors: tuple[Tensor, ...]) -> Tensor:
        """This process's part of the mean loss over the whole batch, and of its gradients, by micro-batches."""
        batch = self.training["batch_size"]
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
            raise DivergedTraining(f"the loss of step {first + int(bad[0])} is not finite; {self.last_good()}")

    def stop_if_weights_are_bad(self, step: int) -> None:
        """A finite loss may have had a gradient that was not: look before anything is saved."""
        tensors = [*self.parameters, *(self.average or [])]
        if not torch.stack([torch.isfinite(t).all() for t in tensors]).all():
            raise DivergedTraining(f"the weights after step {step} are not finite; {self.last_good()}")

    def last_good(self) -> str:
        return f"the last good checkpoint is '{self.good}'" if self.good else "no checkpoint had been written yet"

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
        """Write a checkpoint after `done` steps, atomically, and drop all but the last KEPT.

        Later ones were of no use when this run started: they go too.
        """
        path, state = self._path(done), {"belongs": self.belongs, "done": done, "average": self.average}
        state |= {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "losses": self.losses}
        checkpoints.write(path, state)
        self.good = path
        saved = self._saved()
        for other in set(saved) - set(saved[: saved.index(path) + 1][-KEPT:]):
            checkpoints.drop(other)

    def resume(self) -> int:
        """Steps done before, from the newest checkpoint of this training that can be used; 0 without one."""
        done = 0
        if self.group.rank == 0:
            done = next((done for path in reversed(self._saved()) if (done := self._load(path))), 0)
        agreed = self.group.agreed(done, self.device)
        if agreed != done and self._load(self._path(agreed)) != agreed:  # in another process than rank 0
            raise StudyError(f"checkpoint '{self._path(agreed)}' could be read by one process and not by another")
        return agreed

    def _load(self, path: Path) -> int:
        """Take over the state of a checkpoint; returns its steps, 0 where it cannot be used."""
        try:
            state = checkpoints.read(path, self.device)
        except checkpoints.Unusable as error:
            log(f"{error}; trying the one before it")
            return 0
        if state["belongs"] != self.belongs:
            log(
                f"checkpoint '{path}' is not one of this training (other parameters or another network) and is not used"
            )
            return 0
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            torch._foreach_copy_(self.average, state["average"])
        self.losses.copy_(state["losses"])
        self.good = path
        if self.group.rank == 0:
            log(f"going on after step {state['done']} of {self.training['steps']}, from '{path}'")
        return state["done"]

    def _path(self, done: int) -> Path:
        return self.folder / f"step-{done:08d}.pt"
