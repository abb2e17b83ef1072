"""Numpy's arrays and numbers as pickles write them, of plain numbers and texts alone.

A numpy dtype that a file describes may lie about what its bytes are, objects of Python say; so none is built from the
description: only a name of a plain one is taken from it, and the order of its bytes.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from guidance_study.sources.pickles import StandIn, UnsafePickle

PLAIN = re.compile(r"[<>|=]?([biufcSU]\d{1,4}|\?)")


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
