"""The door for pickles of others: numbers, texts and numpy's arrays are built; no code of the file runs.

A numpy dtype that a file describes may lie about what its bytes are, objects of Python say; so none is built from the
description: only a name of a plain one is taken from it, and the order of its bytes.
"""

import pickle
import re
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from guidance_study.support.errors import StudyError

PLAIN = re.compile(r"[<>|=]?([biufcSU]\d{1,4}|\?)")


class UnsafePickle(StudyError):
    """A pickle names something that could run code; the message says what."""


class StandIn:
    """Built in the place of what a pickle names: the only objects that are handed a state, by their own rules."""


class Kind(StandIn):
    """In the place of numpy.dtype."""

    def __init__(self, name: Any, *ignored: Any):
        if not (isinstance(name, str) and PLAIN.fullmatch(name)):
            raise UnsafePickle(f"it holds an array of '{name}', which are no plain numbers or texts")
        self.real = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        """The order of bytes; nothing else can differ in a plain one."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.real = self.real.newbyteorder(state[1])


class Array(np.ndarray, StandIn):
    """In the place of numpy.ndarray: empty, until it is told its numbers."""

    def __new__(cls, *ignored: Any) -> "Array":
        """Whatever it is asked for: nothing yet."""
        return super().__new__(cls, (0,), np.int8)

    def __setstate__(self, state: Any) -> None:  # type: ignore[override]  # of a file: anything
        """(version, shape, dtype, whether columns lie together, bytes), of which the first may be left out."""
        shape, kind, fortran, content = state[-4:]
        if not isinstance(kind, Kind):
            raise UnsafePickle("it holds an array of nothing that is known")
        super().__setstate__((1, shape, kind.real, bool(fortran), _bytes(content)))  # type: ignore[arg-type]


def _bytes(content: Any) -> bytes:
    """Bytes, which Python 2 wrote as text."""
    if not isinstance(content, str | bytes | bytearray):
        raise UnsafePickle("it holds an array of objects")
    return content.encode("latin1") if isinstance(content, str) else bytes(content)


def _reconstruct(*ignored: Any) -> Array:
    return Array()


def _scalar(kind: Kind, content: Any) -> Any:
    return np.frombuffer(_bytes(content), kind.real, 1)[0]


def _of_buffer(content: Any, kind: Kind, shape: Any, order: str) -> np.ndarray:
    return np.frombuffer(_bytes(content), kind.real).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: str, codec: str = "latin1") -> bytes:
    """How bytes are written in a pickle of Python 2's protocols."""
    return text.encode("latin1")


BUILT: dict[str, Callable[..., Any]] = {  # what a pickle may name, by numpy's names of then and now
    "numpy.ndarray": Array,
    "numpy.dtype": Kind,
    "_codecs.encode": _encode,
    "builtins.bytes": lambda: b"",  # none at all, in old protocols
    "__builtin__.bytes": lambda: b"",
}
for _core in ("numpy.core", "numpy._core"):
    BUILT[f"{_core}.multiarray._reconstruct"] = _reconstruct
    BUILT[f"{_core}.multiarray.scalar"] = _scalar
    BUILT[f"{_core}.numeric._frombuffer"] = _of_buffer


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined,misc]  # Python's own: C's sets attributes of anything
    def __init__(self, stream: BinaryIO, built: Callable[[str, str], Any]):
        super().__init__(stream, encoding="latin1")
        self.built = built

    def find_class(self, module: str, name: str) -> Any:
        found = BUILT.get(f"{module}.{name}") or self.built(module, name)
        if found is None:
            raise UnsafePickle(f"it asks for '{module}.{name}', and a file of data or weights has no need of code")
        return found

    def load_build(self) -> None:
        state = self.stack.pop()  # type: ignore[attr-defined]
        if isinstance(held := self.stack[-1], StandIn):  # type: ignore[attr-defined]
            held.__setstate__(state)  # type: ignore[attr-defined]

    dispatch = pickle._Unpickler.dispatch | {pickle.BUILD[0]: load_build}  # type: ignore[attr-defined,assignment]


def unpickled(stream: BinaryIO, built: Callable[[str, str], Any] = lambda module, name: None) -> Any:
    """The value of a pickle, texts of Python 2 as Latin-1. Raises UnsafePickle, or ValueError if it is no pickle.

    built: what is called in the place of a further (module, name); None: the pickle is refused.
    """
    try:
        return _Unpickler(stream, built).load()
    except StudyError:
        raise
    except Exception as error:  # a broken pickle raises what it likes
        raise ValueError(str(error)) from None
