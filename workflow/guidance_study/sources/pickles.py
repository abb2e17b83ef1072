"""The door for pickles of others: numbers, texts and numpy's arrays are built; no code of the file runs."""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO

from guidance_study.support.errors import StudyError

# What a pickle may name: how numpy writes arrays, under its names of then and now, and byte strings of Python 2.
ALLOWED = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class UnsafePickle(StudyError):
    """A pickle names something that could run code; the message says what."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, built: Callable[[str, str], Any]):
        super().__init__(stream, encoding="latin1")
        self.built = built

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return super().find_class(module, name)
        if (found := self.built(module, name)) is None:
            raise UnsafePickle(f"it asks for '{module}.{name}', and a file of data or weights has no need of code")
        return found


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
