"""The door for checkpoints of others: tensors and plain containers are built, and no code of the file runs.

Known are safetensors, what torch.save writes (by torch's weights-only loading), and pickles of whole modules as EDM's
release has them, of whose classes nothing but the tensors is kept.
"""

import io
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from guidance_study.networks.models.weights import WeightsError, listed, read_weights
from guidance_study.sources.pickles import UnsafePickle, unpickled

KEPT = ("ema", "ema_model", "model_ema", "ema_state_dict", "state_dict", "model", "net_model", "network", "teacher")
WRAPPERS = ("module.", "_orig_mod.", "model.", "ema_model.", "net.", "backbone.")  # in front of every name
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save's files of before 1.6 begin
NUMPY: list[Any] = [np.dtype, np.ndarray, np.dtypes.Float32DType, np.dtypes.Float64DType, np.dtypes.Int64DType]
EDM = ("EDMPrecond", 0.5)  # the preconditioning, and its sigma_data, that the process `edm` is of
DEPTH = 8  # of containers in one another


def read_foreign(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """(tensors by name without wrappers' names, the keys under which they lay). Raises WeightsError, one sentence."""
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise WeightsError(f"'{path}' cannot be read: {error.strerror or error}") from None
    if start[8:9] == b"{":
        return _unwrapped(read_weights(path)), []
    value = _of_torch(path) if start.startswith((b"PK", LEGACY)) else _of_pickle(path)
    state, below = _found(path, value, [])
    bad = [name for name, tensor in state.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if bad:
        raise WeightsError(f"'{path}' holds weights that are not finite: {listed(bad)}")
    return _unwrapped(state), below


def _of_torch(path: Path) -> Any:
    zipped = zipfile.is_zipfile(path)
    if zipped and any(name.endswith("constants.pkl") for name in zipfile.ZipFile(path).namelist()):
        raise WeightsError(
            f"'{path}' is TorchScript, a program with its weights: the embedding 'inception' takes it so"
        )
    try:
        with torch.serialization.safe_globals(NUMPY):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:  # a broken file raises what it likes
        asked = _asked_for(path) if zipped else ""
        raise WeightsError(f"'{path}' {asked or 'is cut short or damaged: ' + _first_line(error)}") from None


def _asked_for(path: Path) -> str:
    """What code a file of torch.save asks for; '' where none is the trouble."""
    try:
        wanted = [name for name in torch.serialization.get_unsafe_globals_in_checkpoint(path) if "numpy" not in name]
    except Exception:
        return ""
    return f"asks for '{sorted(wanted)[0]}', and a file of weights has no need of code" if wanted else ""


def _of_pickle(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            return unpickled(stream, _built)
    except UnsafePickle as error:
        raise WeightsError(f"'{path}' cannot be taken: {error}") from None
    except ValueError as error:
        raise WeightsError(f"'{path}' is no checkpoint: {_first_line(error)}") from None


class _Module:
    """In the place of a class of torch.nn or of the file's own: what it was set to, and nothing that it does."""

    def __init__(self, *ignored: Any):
        self.kept: dict[str, Any] = {}
        self.called = ""

    def __setstate__(self, state: Any) -> None:
        self.kept = state if isinstance(state, dict) else {}


def _persistent(meta: Any) -> _Module:
    """In the place of EDM's function that would run the source code in the file."""
    made = _Module()
    if isinstance(meta, dict):
        made.kept, made.called = dict(meta.get("state") or {}), str(meta.get("class_name"))
    return made


def _storage(content: bytes) -> Any:
    """The numbers behind tensors, which lie in a file of torch.save of their own."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


BUILT: dict[tuple[str, str], Callable[..., Any]] = {  # what a pickle may name, and what is called in its place
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent,
    ("dnnlib.util", "EasyDict"): dict,
    ("builtins", "set"): set,
}


def _built(module: str, name: str) -> Callable[..., Any] | None:
    """What is called in the place of what a pickle names: modules of torch.nn are all alike here."""
    inert = _Module if module.startswith("torch.nn.modules.") and "." not in name else None
    return BUILT.get((module, name), inert)


def _found(path: Path, value: Any, below: list[str]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a module or mapping, looked for under the usual keys, an average's before a model's."""
    if isinstance(value, _Module):
        if value.called.endswith("Precond") and (value.called, value.kept.get("sigma_data")) != EDM:
            said = f"{value.called} with sigma_data {value.kept.get('sigma_data')}"
            raise WeightsError(f"'{path}' is of {said}, whose weights mean something else than those of {EDM[0]}")
        return _flat(value, ""), below
    if isinstance(value, Mapping) and len(below) < DEPTH:
        tensors = {name: tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
        inner = next((key for key in KEPT if isinstance(value.get(key), Mapping | _Module)), None)
        if inner is not None:
            return _found(path, value[inner], [*below, inner])
        if tensors and all(isinstance(name, str) for name in tensors):
            return tensors, below
    keys = ", ".join(map(str, list(value)[:5])) if isinstance(value, Mapping) else type(value).__name__
    raise WeightsError(f"'{path}' holds no tensors by name, nor under {', '.join(KEPT)}: it has {keys}")


def _flat(module: _Module, prefix: str) -> dict[str, Tensor]:
    """Parameters and buffers of a module and of those in it."""
    own = {**(module.kept.get("_parameters") or {}), **(module.kept.get("_buffers") or {})}
    found = {prefix + name: tensor.detach() for name, tensor in own.items() if isinstance(tensor, Tensor)}
    for name, inner in (module.kept.get("_modules") or {}).items():
        if isinstance(inner, _Module):
            found |= _flat(inner, f"{prefix}{name}.")
    return found


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names without what stands in front of all of them."""
    while prefix := next((p for p in WRAPPERS if state and all(name.startswith(p) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
