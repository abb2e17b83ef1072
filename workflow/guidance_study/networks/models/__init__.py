"""Trained networks, from an artefact or a file to a callable; and batched inference."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from guidance_study.config import seams
from guidance_study.config.stages import STAGES
from guidance_study.config.weights import Weights
from guidance_study.execution import devices
from guidance_study.execution.job import Input, Job
from guidance_study.networks import ClassifierNetwork, Network
from guidance_study.networks.models.weights import WeightsError, mismatch, read_about, read_weights
from guidance_study.support.errors import StudyError
from guidance_study.support.settings import SETTINGS, read_setting, setting
from guidance_study.support.text import canonical

WEIGHTS = "weights.safetensors"  # of an artefact
ABOUT = "guidance_study"  # the key of such a file's metadata


def device() -> torch.device:
    """Where computation runs: the setting `device` of the run, else a GPU where there is one, else the CPU."""
    wanted = os.environ.get(SETTINGS + "DEVICE")
    if wanted not in (None, "cpu", "cuda"):
        raise StudyError(f"{SETTINGS}DEVICE has the value '{wanted}': allowed are cpu and cuda")
    devices.claim()  # before CUDA is asked anything: afterwards it is too late to choose a GPU
    return torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))


def set_up() -> torch.device:
    """Threads as the run fixed them, denormals flushed, and on a GPU float32 that is float32; returns the device."""
    torch.set_num_threads(read_setting("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"), 1))
    torch.set_flush_denormal(True)  # cannot slow a step, and keeps underflow alike on all processors
    torch.backends.cudnn.allow_tf32 = False  # a precision is a choice of the recipe, never of the card
    torch.backends.cudnn.deterministic = True
    return device()


def save_weights(state: dict[str, Tensor], job: Job, stage: str) -> None:
    """Write the file of weights of a stage's artefact, with all that it takes to build its network in the metadata.

    {stage, params, dataset: its params or null} is canonical JSON under a single key: several would stand in an order
    that differs between processes, and the bytes are digested.
    """
    dataset = job.inputs.get("dataset")
    about = {"stage": stage, "params": job.params, "dataset": dataset and dataset.params}
    tensors = {name: value.contiguous().cpu() for name, value in state.items()}
    save_file(tensors, job.out / WEIGHTS, {ABOUT: canonical(about)})


def exported(path: Path) -> Input:
    """A file of weights by itself, with the recipe {stage, params, dataset} in its metadata. Raises StudyError."""
    if not path.is_file():
        raise StudyError(f"'{path}' is not there; name a file of weights, an address, or a name of the configuration")
    recipe = read_about(path, ABOUT)
    trained = [name for name, stage in STAGES.items() if stage.trains]
    if recipe.get("stage") not in trained:
        raise StudyError(f"'{path}' does not say what network it is of; weights that a study made do")
    return Input(path, recipe)


def state_of(source: Input) -> dict[str, Tensor]:
    """The state dict of an artefact with weights, or of a file of weights."""
    return read_weights(source.path if source.path.is_file() else source.path / WEIGHTS)


def placed(network: nn.Module) -> nn.Module:
    """The network on the device of the run; convolutions channels-last, the layout that their fast kernels want."""
    images = any(p.ndim == 4 for p in network.parameters())
    layout = torch.channels_last if images else torch.preserve_format
    return network.to(device(), memory_format=layout)  # type: ignore[call-overload]  # torch's stubs leave it out


def frozen(network: nn.Module, state: dict[str, Tensor]) -> nn.Module:
    """The network with these weights, on the device of the run, for inference."""
    network.load_state_dict(state)
    return placed(network).eval().requires_grad_(False)


def filled(network: nn.Module, state: dict[str, Tensor], path: Path, name: str) -> nn.Module:
    """The network `name` with exactly the weights `state`, read from `path`, for inference. Raises WeightsError."""
    if said := mismatch(network.state_dict(), state):
        raise WeightsError(f"'{path}' holds no weights of {name}: {said}")
    return frozen(network, state)


def outside(spec: Network | ClassifierNetwork, network: nn.Module, weights: Weights) -> dict[str, Tensor]:
    """The state dict of a kind's network from a safetensors file from outside. StudyError: it is for another one."""
    path, name = weights.file.verified(), type(network).__name__
    try:
        state = spec.adapted(read_weights(path))
    except ValueError as error:
        raise StudyError(f"'{path}' holds no weights of {name}: {error}") from None
    return filled(network, state, path, name).state_dict()


def load_classifier(source: Input) -> nn.Module:
    """The network of a `classifier` artefact: logits = network(x, time), features = network.features(x, time)."""
    params = source.params
    spec, noisy = seams.parse("networks", params["network"]), params["process"] is not None
    return frozen(spec.build(tuple(params["shape"]), params["classes"], noisy), state_of(source))


def load_network(source: Input) -> nn.Module:
    """The network of a `denoiser` artefact, network(x, time, label)."""
    return frozen(_built(source.params), state_of(source))


def load_flow(source: Input) -> tuple[nn.Module, float]:
    """The network of a `postprocessor` artefact and the size of its output: what `rectified_flow.velocity` takes."""
    state = state_of(source)
    scale = float(state.pop("output_scale"))
    return frozen(_built(source.params), state), scale


def _built(params: dict) -> nn.Module:
    return seams.parse("networks", params["network"]).build(tuple(params["shape"]), params["class_rows"])


def batches(n: int, size: int | None = None, most: int | None = None) -> Iterator[tuple[int, int]]:
    """Ranges (first, last) that cover 0..n-1; `size` defaults to the run's inference batch, at most `most`."""
    step = size or min(setting("inference_batch", 2048), most or n or 1)
    return ((first, min(first + step, n)) for first in range(0, n, step))


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
    head = network.get_submodule("head")
    return _apply(lambda x: head(x).argmax(1), seen)
