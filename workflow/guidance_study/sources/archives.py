"""The door for packed files: members are read into memory one by one, of a size that is known; nothing is extracted."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guidance_study.support.errors import StudyError

BROKEN = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError)
GZIP = b"\x1f\x8b"  # how a gzipped file begins


class BrokenArchive(StudyError):
    """A packed file cannot be read; the message names it and says why."""


@contextmanager
def members(path: Path, most: int) -> Iterator["Members"]:
    """The members of a gzipped tar file. Raises BrokenArchive, as what is asked of them does."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            yield Members(path, tar, most)
    except BROKEN as error:
        raise BrokenArchive(f"'{path}' cannot be unpacked: {error}") from None


class Members:
    """Members of an open archive by name."""

    def __init__(self, path: Path, tar: tarfile.TarFile, most: int):
        self._path, self._tar, self._most = path, tar, most
        self._found = {info.name: info for info in tar.getmembers()}

    def read(self, name: str) -> bytes | None:
        """The bytes of a member; None where there is none. A link, a device or too large a file: BrokenArchive."""
        info = self._found.get(name)
        if info is None:
            return None
        if not info.isreg() or info.size > self._most:
            what = "is no file" if not info.isreg() else f"has {info.size} bytes, more than {self._most}"
            raise BrokenArchive(f"'{self._path}' cannot be unpacked: '{name}' in it {what}")
        stream = self._tar.extractfile(info)
        return stream.read() if stream else None


def plain_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file, gzipped or not, at most so many when unpacked. Raises BrokenArchive."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(len(GZIP)) == GZIP
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else io.BufferedReader(raw)
            content = stream.read(most + 1)
    except BROKEN as error:
        raise BrokenArchive(f"'{path}' is cut short or cannot be unpacked: {error}") from None
    if len(content) > most:
        raise BrokenArchive(f"'{path}' has more than {most} bytes when it is unpacked")
    return content
