"""The door for pickles of others: numbers, texts and numpy's arrays are built; no code of the file runs."""

import io
import pickle
from typing import Any

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
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise UnsafePickle(f"it asks for '{module}.{name}', and a data file has no need of code")
        return super().find_class(module, name)


def unpickled(content: bytes) -> Any:
    """The value of a pickle, texts of Python 2 as Latin-1. Raises UnsafePickle, or ValueError if it is no pickle."""
    try:
        return _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except StudyError:
        raise
    except Exception as error:  # a broken pickle raises what it likes
        raise ValueError(str(error)) from None
