"""The door for checkpoints of others: tensors and plain containers are built, and no code of the file runs.

Known are safetensors, what torch.save writes (by torch's weights-only loading), and pickles of whole modules as EDM's
release has them, of whose classes nothing but the tensors is kept.
"""

import io
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from guidance_study.networks.models.weights import WeightsError, listed, read_about, read_weights
from guidance_study.support.pickles import BUILT as ARRAYS
from guidance_study.support.pickles import StandIn, UnsafePickle, unpickled

AVERAGE = re.compile(r"(^|_)ema($|_)")  # in the name of a moving average, under which weights are looked for first
KEPT = ("state_dict", "model", "net_model", "network", "teacher")
WRAPPERS = ("module.", "_orig_mod.", "model.", "ema_model.", "net.", "backbone.")  # in front of every name
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # how torch.save's files of before 1.6 begin
EDM = ("EDMPrecond", 0.5)  # the preconditioning, and its sigma_data, that the process `edm` is of
DEPTH = 50  # of containers, or of modules, in one another


def read_foreign(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """(tensors by name without wrappers' names, the keys under which they lay). Raises WeightsError, one sentence."""
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError as error:
        raise WeightsError(f"'{path}' cannot be read: {error.strerror or error}") from None
    if start[8:9] == b"{":
        return _unwrapped(_of_safetensors(path)), []
    value = _of_torch(path) if start.startswith((b"PK", LEGACY)) else _of_pickle(path)
    state, below = _found(path, value, [])
    if odd := [name for name, tensor in state.items() if not _plain(tensor)]:
        raise WeightsError(f"'{path}' holds tensors that are not plain arrays of numbers of its own: {listed(odd)}")
    bad = [name for name, tensor in state.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if bad:
        raise WeightsError(f"'{path}' holds weights that are not finite: {listed(bad)}")
    return _unwrapped(state), below


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    """Of others: what this package wrote says itself what it is, and is named as it is."""
    from guidance_study.networks.models import ABOUT

    if read_about(path, ABOUT):
        raise WeightsError(f"'{path}' was written by a study: guidance_study.load takes it as it is")
    return read_weights(path)


def _of_torch(path: Path) -> Any:
    zipped = zipfile.is_zipfile(path)
    if zipped and any(name.endswith("constants.pkl") for name in zipfile.ZipFile(path).namelist()):
        raise WeightsError(
            f"'{path}' is TorchScript, a program with its weights: the embedding 'inception' takes it so"
        )
    allowed: list[Any] = [(made, name) for name, made in ARRAYS.items()]
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except UnsafePickle as error:
        raise WeightsError(f"'{path}' cannot be taken: {error}") from None
    except Exception as error:  # a broken file raises what it likes
        raise WeightsError(f"'{path}' {_refusal(error)}") from None


def _refusal(error: Exception) -> str:
    """Why torch's weights-only loading did not take a file; its advice, to load it in another way, is not passed on."""
    said = str(error)
    if asked := re.search(r"(?:GLOBAL|load|[Cc]lass|[Ff]unction) ([A-Za-z_]\w*(?:\.\w+)+)", said):
        return f"asks for '{asked[1]}', and a file of weights has no need of code"
    return "is cut short or damaged, or holds more than tensors and plain values"


def _of_pickle(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            return unpickled(stream, _built)
    except UnsafePickle as error:
        raise WeightsError(f"'{path}' cannot be taken: {error}") from None
    except WeightsError as error:
        raise WeightsError(f"'{path}' {error}") from None
    except ValueError as error:
        raise WeightsError(f"'{path}' is no checkpoint: {_first_line(error)}") from None


class _Module(StandIn):
    """In the place of a class of torch.nn or of the file's own: what it was set to, and nothing that it does."""

    kept: Mapping[str, Any] = {}
    called = ""

    def __init__(self, *ignored: Any):
        pass

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
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"holds tensors whose file {_refusal(error)}") from None


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
        sigma = value.kept.get("sigma_data")
        if value.called.endswith("Precond") and (value.called, sigma if isinstance(sigma, float) else None) != EDM:
            said = f"{value.called} with sigma_data {sigma}".replace("\n", " ")[:200]
            raise WeightsError(f"'{path}' is of {said}, whose weights mean something else than those of {EDM[0]}")
        try:
            flat = _flat(value, "", DEPTH)
        except RecursionError:
            raise WeightsError(f"'{path}' holds modules in one another without end") from None
        if not flat:
            raise WeightsError(f"'{path}' holds a module without parameters")
        return flat, below
    if isinstance(value, Mapping) and len(below) < DEPTH:
        tensors = {name: tensor for name, tensor in value.items() if isinstance(tensor, Tensor)}
        inside = [key for key, one in value.items() if isinstance(key, str) and isinstance(one, Mapping | _Module)]
        averages = [key for key in inside if AVERAGE.search(key)]
        if len(averages) > 1:
            raise WeightsError(f"'{path}' holds several averages, {listed(averages)}: save the one that is meant alone")
        inner = next(iter([*averages, *(key for key in KEPT if key in inside)]), None)
        if inner is not None:
            return _found(path, value[inner], [*below, inner])
        if tensors and all(isinstance(name, str) for name in tensors):
            return tensors, below
    keys = ", ".join(map(str, list(value)[:5])) if isinstance(value, Mapping) else type(value).__name__
    raise WeightsError(f"'{path}' holds no tensors by name, nor under ema, {', '.join(KEPT)}: it has {keys}")


def _flat(module: _Module, prefix: str, depth: int) -> dict[str, Tensor]:
    """Parameters and buffers of a module and of those in it. Raises RecursionError: more than so deep."""
    if not depth:
        raise RecursionError
    own = {**_named(module, "_parameters"), **_named(module, "_buffers")}
    found = {prefix + name: tensor.detach() for name, tensor in own.items() if isinstance(tensor, Tensor)}
    for name, inner in _named(module, "_modules").items():
        if isinstance(inner, _Module):
            found |= _flat(inner, f"{prefix}{name}.", depth - 1)
    return found


def _named(module: _Module, key: str) -> dict[str, Any]:
    """What a module holds by name under a key; nothing where it is no such thing."""
    held = module.kept.get(key)
    return {name: one for name, one in held.items() if isinstance(name, str)} if isinstance(held, dict) else {}


def _plain(tensor: Tensor) -> bool:
    """Whether all its numbers lie in memory of its own, one by one: not sparse, nowhere else, not one number often."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names without what stands in front of all of them."""
    while prefix := next((p for p in WRAPPERS if state and all(name.startswith(p) for name in state)), ""):
        state = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    return state


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
