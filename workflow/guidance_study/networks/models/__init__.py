"""Trained networks, from an artefact to a callable; and batched inference."""

import os
from collections.abc import Iterator

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from guidance_study.config import seams
from guidance_study.execution import devices
from guidance_study.execution.job import Input
from guidance_study.support.errors import StudyError
from guidance_study.support.settings import SETTINGS, setting


def device() -> torch.device:
    """Where computation runs: the setting `device` of the run, else a GPU where there is one, else the CPU."""
    wanted = os.environ.get(SETTINGS + "DEVICE")
    if wanted not in (None, "cpu", "cuda"):
        raise StudyError(f"{SETTINGS}DEVICE has the value '{wanted}': allowed are cpu and cuda")
    devices.claim()  # before CUDA is asked anything: afterwards it is too late to choose a GPU
    return torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))


def set_up() -> torch.device:
    """Threads as the run fixed them, denormals flushed, and on a GPU float32 that is float32; returns the device."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.set_flush_denormal(True)  # cannot slow a step, and keeps underflow alike on all processors
    torch.backends.cudnn.allow_tf32 = False  # a precision is a choice of the recipe, never of the card
    torch.backends.cudnn.deterministic = True
    return device()


def save_weights(state: dict[str, Tensor], path) -> None:
    """Write a state dict as safetensors."""
    save_file({name: value.contiguous().cpu() for name, value in state.items()}, path)


def state_of(source: Input) -> dict[str, Tensor]:
    """The state dict of an artefact with weights."""
    return load_file(source.path / "weights.safetensors")


def placed(network: nn.Module) -> nn.Module:
    """The network on the device of the run; convolutions channels-last, the layout that their fast kernels want."""
    images = any(p.ndim == 4 for p in network.parameters())
    return network.to(device(), memory_format=torch.channels_last if images else torch.preserve_format)


def frozen(network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """The network with these weights, on the device of the run, for inference."""
    network.load_state_dict(state)
    return placed(network).eval().requires_grad_(False)


def load_classifier(source: Input) -> nn.Module:
    """The network of a `classifier` artefact: logits = network(x, time), features = network.features(x, time)."""
    params = source.params
    spec, noisy = seams.parse("networks", params["network"]), params["process"] is not None
    return frozen(spec.build(tuple(params["shape"]), params["classes"], noisy), state_of(source))


def batches(n: int, size: int | None = None, most: int | None = None) -> Iterator[tuple[int, int]]:
    """Ranges (first, last) that cover 0..n-1; `size` defaults to the run's inference batch, at most `most`."""
    size = size or min(setting("batch", 2048), most or n or 1)
    return ((first, min(first + size, n)) for first in range(0, n, size))


def _apply(function, samples: np.ndarray) -> np.ndarray:
    def compute(first: int, last: int) -> Tensor:
        return function(torch.from_numpy(np.array(samples[first:last])).to(device())).cpu()

    with torch.no_grad():
        return torch.cat([devices.halving(compute, *rows) for rows in batches(len(samples))]).numpy()


def features(network: nn.Module, samples: np.ndarray) -> np.ndarray:
    """Penultimate features (N, F) float32 of a clean classifier."""
    return _apply(network.features, samples)


def predicted(network: nn.Module, seen: np.ndarray) -> np.ndarray:
    """Predicted classes (N,) int64 of a clean classifier from the `features` that it saw."""
    return _apply(lambda x: network.head(x).argmax(1), seen)
