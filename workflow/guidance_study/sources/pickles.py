"""The door for pickles of others: numbers, texts and numpy's arrays are built; no code of the file runs."""

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO

from guidance_study.support.errors import StudyError


class UnsafePickle(StudyError):
    """A pickle names something that could run code; the message says what."""


class StandIn:
    """Built in the place of what a pickle names: the only objects that are handed a state, by their own rules."""


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]  # Python's own: C's sets attributes of anything
    def __init__(self, stream: BinaryIO, built: Callable[[str, str], Any]):
        super().__init__(stream, encoding="latin1")
        self.built = built

    def find_class(self, module: str, name: str) -> Any:
        from guidance_study.sources.arrays import BUILT

        found = BUILT.get(f"{module}.{name}") or self.built(module, name)
        if found is None:
            raise UnsafePickle(f"it asks for '{module}.{name}', and a file of data or weights has no need of code")
        return found

    def load_build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], StandIn):
            self.stack[-1].__setstate__(state)  # type: ignore[attr-defined]

    dispatch = pickle._Unpickler.dispatch | {pickle.BUILD[0]: load_build}  # type: ignore[attr-defined]


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
