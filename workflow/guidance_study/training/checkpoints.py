"""A training's state as a file: the SHA-256 of what follows, then torch's own format. It is read only if they agree."""

import hashlib
import pickle
import shutil
from pathlib import Path

import torch

from guidance_study.support.errors import StudyError
from guidance_study.support.writing import atomically

PARTS = {"belongs", "done", "network", "optimizer", "average", "losses"}
LENGTH = hashlib.sha256().digest_size


class Unusable(StudyError):
    """A checkpoint is damaged or no checkpoint; the message names the file and the reason."""


def write(path: Path, state: dict) -> None:
    """Write a state, atomically, over whatever was there. Raises Unwritable."""
    if path.is_dir():
        drop(path)
    with atomically(path) as scratch, scratch.open("w+b") as stream:
        stream.write(bytes(LENGTH))
        torch.save(state, stream)
        stream.seek(LENGTH)
        digest = hashlib.file_digest(stream, "sha256").digest()
        stream.seek(0)
        stream.write(digest)


def read(path: Path, device: torch.device) -> dict:
    """The state that a file holds, {part: value}, its tensors on the device. Raises Unusable."""
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        with path.open("rb") as stream:
            digest = stream.read(LENGTH)
            if digest != hashlib.file_digest(stream, "sha256").digest():
                raise ValueError("it is damaged")
            stream.seek(LENGTH)
            state = torch.load(stream, weights_only=True, map_location=device)
        if not isinstance(state, dict) or state.keys() != PARTS:
            raise ValueError("it does not hold the parts of a training's state")
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise Unusable(f"checkpoint '{path}' cannot be used: {error}") from None
    return state


def drop(path: Path) -> None:
    """Remove a checkpoint, or a folder in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
