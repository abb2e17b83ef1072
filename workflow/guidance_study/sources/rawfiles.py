"""Raw files from outside (datasets, pretrained weights): found, downloaded where a source is known, and verified.

A file is known by its SHA-256: pinned in the configuration, or for a file that nobody else has, written beside it once
by `python -m guidance_study pin FILE`. Only the digest goes into recipes; where the file lies does not matter to them.
Imports nothing heavy: the plan asks for digests and for what is missing.
"""

import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from guidance_study.sources.archives import plain_bytes
from guidance_study.support.errors import StudyError
from guidance_study.support.progress import log, track

PLACES = "GUIDANCE_STUDY_PLACES"  # environment variable of a run's jobs: JSON, digest -> path
UNPINNED = "unpinned"  # the digest of a file that nobody pinned
ATTEMPTS = 3  # rounds over all sources
TIMEOUT = 60  # seconds without a byte
BLOCK = 2**20  # bytes read at once
TRANSIENT = (408, 429)  # the only 4xx answers that a second try may change
FAILURES = (OSError, http.client.HTTPException, ValueError, StudyError)  # ValueError: a URL that is none


class RawFileError(StudyError):
    """A raw file is missing or is not the pinned one; the message names it and the remedy."""


class WrongBytes(RawFileError):
    """A source gave another file than the pinned one, and will again."""


@dataclass(frozen=True)
class RawFile:
    """A file from outside: where it should lie, its SHA-256 (None: see its pin), and where it can be had.

    `unpacked`, of a gzipped file: the digest is of what it holds, of at most so many bytes, for mirrors pack anew; it
    may lie there unpacked too, under its name without .gz.
    """

    path: Path
    sha256: str | None = None
    urls: tuple[str, ...] = ()
    unpacked: int | None = None

    @property
    def name(self) -> str:
        """Of what the digest is of."""
        return self.path.name if self.unpacked is None else self.path.name.removesuffix(".gz")

    @property
    def at(self) -> Path:
        """Where it lies, or should lie."""
        if self.unpacked is None:
            return self.path
        plain = self.path.with_name(self.name)
        return plain if not self.path.exists() and plain.exists() else self.path

    @property
    def size(self) -> int:
        """Its bytes; 0 where it is not there yet."""
        try:
            return self.at.stat().st_size
        except OSError:
            return 0

    def found(self, path: Path) -> str:
        """The SHA-256 of a file in its place. Raises StudyError."""
        return sha256_of(path) if self.unpacked is None else sha256_of_content(path, self.unpacked)

    @property
    def pin(self) -> Path:
        """The file beside it that holds its digest, for files without a digest in the configuration."""
        return self.path.with_name(self.path.name + ".sha256")

    @property
    def digest(self) -> str:
        """The pinned SHA-256, or UNPINNED. A recipe that says UNPINNED is held to it: no pin of later fits it."""
        if self.sha256:
            return self.sha256
        with contextlib.suppress(OSError, ValueError):
            words = self.pin.read_text(encoding="utf-8").split()
            if words and is_sha256(words[0]):
                return words[0]
        return UNPINNED

    def missing(self) -> str | None:
        """One sentence if the file cannot be used yet, with the remedy; its bytes are checked only when it is used."""
        if not self.at.is_file():
            return f"'{self.path}' is missing; {self._remedy()}"
        if self.digest == UNPINNED:
            return f"'{self.path}' has no pinned digest; run: python -m guidance_study pin {self.path}"
        return None

    def placed(self) -> Self:
        """The same file where this run keeps it: a job knows its digest, and the path from the environment."""
        places = json.loads(os.environ.get(PLACES, "{}"))
        return replace(self, path=Path(places.get(self.digest, self.at)), sha256=self.digest)

    def verified(self) -> Path:
        """The path of the file, downloaded if need be, its digest checked just now. Raises RawFileError."""
        here = self.placed()
        if here.digest == UNPINNED:
            raise RawFileError(here.missing())
        if not here.path.is_file():
            here.fetch()
        found = here.found(here.path)
        if found != here.digest:
            has = "has SHA-256" if self.unpacked is None else "holds, unpacked, SHA-256"
            raise RawFileError(f"'{here.path}' {has} {found}, pinned is {here.digest}; remove it and get it again")
        return here.path

    def fetch(self) -> None:
        """Download the file from the first source that gives the pinned bytes. Raises RawFileError if none does."""
        sources, said = list(self.urls), ""
        for attempt in range(ATTEMPTS if sources else 0):
            time.sleep(2**attempt if attempt else 0)
            for url in tuple(sources):
                try:
                    return self._from(url)
                except FAILURES as error:
                    said = f" and could not be downloaded ({error})"
                    log(f"download of {url} failed: {error}")
                    if _for_good(error):
                        sources.remove(url)
            if not sources:
                break
        raise RawFileError(f"'{self.path}' is missing{said}; {self._remedy()}")

    def _from(self, url: str) -> None:
        """Download from one source; the file appears whole, with the pinned bytes, or not at all."""
        log(f"downloading {url}")
        pinned = self.digest
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(f".{self.path.name}.{socket.gethostname()}.{os.getpid()}")
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as source, scratch.open("wb") as out:
                length, blocks = source.headers.get("Content-Length"), iter(lambda: source.read(BLOCK), b"")
                if length:
                    blocks = track(blocks, -(-int(length) // BLOCK), f"{self.path.name} (MiB)")
                for block in blocks:
                    out.write(block)
                out.flush()
                os.fsync(out.fileno())
            if length and scratch.stat().st_size != int(length):
                raise RawFileError(f"{url} ended after {scratch.stat().st_size} of {length} bytes")
            found = self.found(scratch)
            if pinned not in (UNPINNED, found):
                raise WrongBytes(f"{url} gave SHA-256 {found}, pinned is {pinned}")
            scratch.replace(self.path)
        finally:
            scratch.unlink(missing_ok=True)
        if pinned == UNPINNED:
            write_pin(self.path)

    def _remedy(self) -> str:
        if self.urls:
            command = "snakemake --cores 1 download (with the same --configfile)"
            return f"run: {command}, or get {self.urls[0]} and put it there"
        if self.digest != UNPINNED:
            return f"put the file with SHA-256 {self.digest} there"
        return f"put it there, then run: python -m guidance_study pin {self.path}"


def _for_good(error: Exception) -> bool:
    """Whether asking the same source again is no use."""
    refused = isinstance(error, urllib.error.HTTPError) and 400 <= error.code < 500 and error.code not in TRANSIENT
    return refused or isinstance(error, WrongBytes)


def is_sha256(text: str) -> bool:
    """Whether a text is written as SHA-256 digests are here: 64 hexadecimal digits, lower case."""
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file; RawFileError if it cannot be read."""
    from guidance_study.support.writing import sha256

    try:
        return sha256(path)
    except OSError as error:
        raise RawFileError(f"'{path}' cannot be read: {error.strerror}") from None


def sha256_of_content(path: Path, most: int) -> str:
    """The SHA-256 of what a file holds, gzipped or not, of at most so many bytes. Raises StudyError."""
    return hashlib.sha256(plain_bytes(path, most)).hexdigest()


def write_pin(path: Path) -> str:
    """Write a file's digest beside it, as `sha256sum` would; returns the digest."""
    digest = sha256_of(path)
    write_beside(path, RawFile(path).pin, f"{digest}  {path.name}\n")
    return digest


def write_beside(path: Path, target: Path, text: str) -> None:
    """Write a small file that vouches for `path` beside it, whole or not at all."""
    from guidance_study.support.writing import atomic_write

    try:
        atomic_write(target, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise RawFileError(
            f"'{target}' cannot be written: {error.strerror}; link '{path}' into a folder of yours and pin the link"
        ) from None


def fetch_all(files: Iterable[RawFile]) -> None:
    """Download each; one that cannot be had stops no other. Raises RawFileError that names all of those."""
    failed = []
    for file in files:
        try:
            file.fetch()
        except StudyError as error:
            failed.append(str(error))
    if failed:
        raise RawFileError("; ".join(failed))


def export_places(files: Iterable[RawFile]) -> None:
    """Tell the jobs of a run where raw files lie."""
    places = {file.digest: str(file.at.absolute()) for file in files}
    places.pop(UNPINNED, None)
    os.environ[PLACES] = json.dumps(places)
