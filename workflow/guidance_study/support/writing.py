"""Files: written whole or not at all, and where the system refuses, one sentence that says why and what to do; digests.

A file grows under a scratch name, with its machine and process in it, so that what a killed process left can be told
from what a living one writes.
"""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from guidance_study.support.errors import StudyError

REFUSALS = {  # why the system does not write a file, and what to do
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the quota of this disk is used up; free some space and run again",
    errno.EROFS: "the file system is read-only; mount it writable or choose another folder",
    errno.EACCES: "there is no permission to write there; grant it or choose another folder",
    errno.EPERM: "there is no permission to write there; grant it or choose another folder",
    errno.ENOTDIR: "a file or a broken link lies where a folder should be; move it away",
    errno.EEXIST: "a file or a broken link lies where a folder should be; move it away",
    errno.EISDIR: "a folder lies where the file should be; choose another name",
    errno.EXDEV: "a part of the store lies on another disk; link the whole store there, not a folder in it",
    errno.ENOENT: "its folder has vanished; bring it back and run again",
}
PROBE = 2**16  # bytes of the file that is tried where a library does not say why it could not write


class Unwritable(OSError, StudyError):
    """The system refuses to write a file; the message names the file, its folder, the reason and the remedy."""

    def __init__(self, path: Path, number: int):
        super().__init__(number, os.strerror(number), str(path))
        reason = REFUSALS.get(number, f"{os.strerror(number)}; run again when that is mended")
        self.sentence = f"'{path.name}' cannot be written into '{path.parent}': {reason}"

    def __str__(self) -> str:
        return self.sentence


@contextlib.contextmanager
def explained(path: Path, scratch: Path | None = None) -> Iterator[None]:
    """While a file is written: the system's refusal becomes one sentence, Unwritable; other errors stay what they are.

    `path` is the file, or the folder of an artefact whose files grow in the folder `scratch`.
    """
    try:
        yield
    except StudyError:
        raise
    except Exception as error:
        number = _refusal(error, scratch or path.parent)
        if number is None:
            raise
        raise Unwritable(path / _newest(scratch) if scratch else path, number) from error


def _newest(folder: Path) -> str:
    """The name of the file of a folder that was written last: the one that failed; "" without any."""
    with contextlib.suppress(OSError):
        return max(((path.stat().st_mtime_ns, path.name) for path in folder.iterdir()), default=(0, ""))[1]
    return ""


def _refusal(error: Exception, folder: Path) -> int | None:
    """The errno of the system's refusal to write into a folder; None if the error has another cause.

    numpy and torch do not say why they could not write, so a small file is tried; safetensors says it in its message.
    """
    said = re.search(r"os error (\d+)", str(error))
    number = int(said[1]) if said else getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return number
    if named := getattr(error, "filename", None):
        named = Path(os.fsdecode(named))
        near = named.is_relative_to(folder) or folder.is_relative_to(named)
        if near and number in REFUSALS and number != errno.ENOENT:
            return number
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as refusal:
        return refusal.errno
    return None


@contextlib.contextmanager
def atomically(path: Path) -> Iterator[Path]:
    """A scratch file that becomes `path` if the block ends well: readers see the old bytes or the new, never half.

    What killed processes of this machine left in the same folder is removed. Raises Unwritable.
    """
    scratch = path.with_name("." + scratch_name(path.name))
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent, ".*")
            yield scratch
            sync(scratch)
            os.replace(scratch, path)  # noqa: PTH105 - the atomic rename
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink()


def atomic_write(path: Path, content: bytes) -> None:
    """Write a small file whole or not at all. Raises Unwritable."""
    with atomically(path) as scratch:
        scratch.write_bytes(content)


def reserve(path: Path) -> None:
    """Take the room of a mapped file on the disk: a page that finds none later would end the process by a signal."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as out:
            os.posix_fallocate(out.fileno(), 0, path.stat().st_size)


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def scratch_name(stem: str) -> str:
    return f"{stem}@{socket.gethostname()}@{os.getpid()}"


def sweep(folder: Path, stem: str) -> None:
    """Remove what killed processes of this machine left in a folder; `stem` may have a star."""
    for leftover in folder.glob(f"{stem}@{socket.gethostname()}@*"):
        pid = leftover.name.rsplit("@", 1)[1]
        if pid.isdigit() and not alive(int(pid)):
            with contextlib.suppress(OSError):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def alive(pid: int) -> bool:
    """Whether a process of this machine runs; one that ended and that nobody asked about yet (a zombie) does not."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    try:  # elsewhere than on Linux
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
