"""The doors for files that this package wrote: JSON and arrays. What is damaged is one sentence, never a traceback."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    import numpy as np


class Unreadable(StudyError):
    """A file is missing, is none, or does not hold what it should; the message names it and the reason."""


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """Raise Unreadable for whatever reading a damaged file may raise; a pipe or a device is not waited for."""
    if os.path.lexists(path) and not path.is_file():
        raise Unreadable(f"'{path}' is damaged: it is no file")
    try:
        yield
    except OSError as error:
        raise Unreadable(f"'{path}' cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, TypeError, RecursionError, MemoryError, SyntaxError):
        raise Unreadable(f"'{path}' is damaged: it is not {what} any more") from None


def read_json(path: Path, what: str = "JSON", kind: type = dict) -> Any:
    """The value, a mapping unless another `kind` is said, in a JSON file. Raises Unreadable."""
    with _explained(path, what):
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, kind):
            raise ValueError
        return value


def read_array(path: Path, mmap_mode: Literal["r"] | None = None) -> "np.ndarray":
    """An array of numbers from a `.npy` file, mapped or in memory. Raises Unreadable; runs no code of the file."""
    import numpy as np

    with _explained(path, "an array"):
        found = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
        if not isinstance(found, np.ndarray):  # an archive of arrays
            found.close()
            raise ValueError
        return found
