"""The door for files of weights: safetensors, whose tensors are checked before anything is built with them."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from guidance_study.support.errors import StudyError

SHOWN = 3  # names that a message lists


class WeightsError(StudyError):
    """A file of weights does not hold the network that it should; the message names the file and what differs."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, their numbers finite. Raises WeightsError."""
    try:
        state = load_file(_file(path))
    except SafetensorError as error:
        raise WeightsError(f"'{path}' is no safetensors file{_instead(path)}: {error}") from None
    except OSError as error:
        raise WeightsError(f"'{path}' cannot be read: {error.strerror or error}") from None
    bad = [name for name, tensor in state.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if bad:
        raise WeightsError(f"'{path}' holds weights that are not finite: {listed(bad)}")
    return state


def read_about(path: Path, key: str) -> dict:
    """The JSON mapping under a key of a safetensors file's metadata, {} without one. Raises WeightsError."""
    try:
        with safe_open(_file(path), "pt") as file:
            about = json.loads((file.metadata() or {}).get(key, "{}"))
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise WeightsError(f"'{path}' is no safetensors file of this package{_instead(path)}: {error}") from None
    return about if isinstance(about, dict) else {}


def mismatch(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """In words, how a state dict differs from that of a network; '' where names and shapes are the same."""
    shared = wanted.keys() & found.keys()
    differences = {
        "it lacks": [key for key in wanted if key not in found],
        "it has an unknown": [key for key in found if key not in wanted],
        "another shape has": [key for key in wanted if key in shared and wanted[key].shape != found[key].shape],
        "no real numbers has": [key for key in wanted if key in shared and _other_kind(wanted[key], found[key])],
    }
    return "; ".join(f"{what} {listed(keys)}" for what, keys in differences.items() if keys)


def _other_kind(wanted: Tensor, found: Tensor) -> bool:
    """Whether whole or complex numbers, or truths, came where real ones are wanted."""
    return wanted.is_floating_point() and not found.is_floating_point()


def listed(names: list[str]) -> str:
    """Some of many names."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _file(path: Path) -> Path:
    if path.exists() and not path.is_file():
        raise WeightsError(f"'{path}' is no file, where a safetensors file should be")
    return path


def _instead(path: Path) -> str:
    """What a file seems to be that is none of safetensors."""
    with path.open("rb") as stream:
        start = stream.read(4)
    kinds = {
        b"PK": "a zip file, as torch.save writes",
        b"\x80": "a pickle",
        b"\x1f\x8b": "gzipped",
        b"\x93NUM": "NumPy's",
    }
    return next((f" but {kind}" for begins, kind in kinds.items() if start.startswith(begins)), "")
