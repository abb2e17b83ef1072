"""The store of artefacts: atomic writes, manifests, and reads that never use a damaged file.

An artefact is finished when its manifest is there; the manifest is written last and holds the SHA-256 of every file.
Imports nothing heavy: the plan and the command line read manifests too.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from guidance_study.errors import StudyError
from guidance_study.recipes import canonical, recipe_key
from guidance_study.stages import STAGES

SCRATCH = ".tmp"  # below results/: where artefacts grow before they are renamed into place
RESULTS = "results"  # the store of a run, as seen from its working directory
CHECKPOINTS = ".checkpoints"  # below results/: outside the outputs, which Snakemake deletes when a job fails


class DamagedArtefact(StudyError):
    """A file of an artefact is missing or does not have the bytes that its manifest says."""


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Store:
    """Artefacts below one folder, `root` (results/)."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def manifest_path(self, address: str) -> Path:
        return self.root / address / "manifest.json"

    def manifest(self, address: str) -> dict | None:
        """The manifest at an address, or None where there is none; DamagedArtefact if it cannot be read."""
        path = self.manifest_path(address)
        return self.read(path) if path.is_file() else None

    @staticmethod
    def read(path: Path) -> dict:
        """A manifest from its file; DamagedArtefact if it is none, or not the one that was written."""
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            body = {name: value for name, value in manifest.items() if name != "digest"}
            if hashlib.sha256(canonical(body).encode()).hexdigest() != manifest.get("digest"):
                raise DamagedArtefact(f"'{path}' is damaged: it was altered after it was written")
            return manifest
        except (UnicodeDecodeError, AttributeError, ValueError):
            raise DamagedArtefact(f"'{path}' is damaged: it is not a manifest any more") from None

    def has(self, artefact) -> bool:
        """Whether the artefact is finished and made by this very recipe (no digests computed)."""
        with contextlib.suppress(DamagedArtefact):
            manifest = self.manifest(artefact.address)
            files = all((self.root / name).is_file() for name in artefact.files)
            return files and manifest is not None and manifest["recipe"] == artefact.recipe
        return False

    def damages(self, address: str) -> list[str]:
        """One sentence for each file of an artefact that is missing, altered, or not vouched for."""
        try:
            manifest = self.manifest(address)
        except DamagedArtefact as error:
            return [str(error)]
        if manifest is None:
            return [f"'{self.manifest_path(address)}' is missing"]
        found = []
        if not address.endswith(recipe_key(manifest["recipe"])):
            found.append(f"'{self.manifest_path(address)}' holds the recipe of another artefact")
        for name, expected in manifest["files"].items():
            path = self.root / address / name
            if not path.is_file():
                found.append(f"'{path}' is missing")
            elif sha256(path) != expected:
                found.append(f"'{path}' is damaged: its SHA-256 is not the one in its manifest")
        return found

    def open(self, address: str) -> Path:
        """The folder of a finished artefact whose digests were just found right; DamagedArtefact otherwise."""
        damages = self.damages(address)
        if damages:
            raise DamagedArtefact(f"{damages[0]}; delete '{self.root / address}' and run again to rebuild it")
        return self.root / address

    @contextlib.contextmanager
    def exclusive(self, address: str) -> Iterator[None]:
        """Wait until no other process makes this artefact: a job may outlive the run that started it.

        The lock is the kernel's, on the artefact's folder, and ends with its process; file systems without such
        locks go without: two jobs then write the same bytes twice.
        """
        folder = self.root / address
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def drop_checkpoints(self, address: str) -> None:
        """Remove the checkpoints of a finished artefact, and the folders that it leaves empty."""
        folder = self.root / CHECKPOINTS / address
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()
            folder.parent.parent.rmdir()

    @contextlib.contextmanager
    def write(self, address: str, describe) -> Iterator[Path]:
        """A scratch folder whose files become the artefact if the block ends well, and vanish if it does not.

        `describe()` is called at the end and returns the manifest without `files` and `digest`.
        """
        files = STAGES[address.split("/", 1)[0]].files
        scratch = self.root / SCRATCH / f"{address.replace('/', '.')}@{socket.gethostname()}@{os.getpid()}"
        self._sweep(scratch)
        scratch.mkdir(parents=True)
        try:
            yield scratch
            missing = [name for name in files if not (scratch / name).is_file()]
            if missing:
                raise RuntimeError(f"stage of '{address}' wrote no '{missing[0]}'")
            manifest = describe() | {"files": {name: sha256(scratch / name) for name in files}}
            manifest["digest"] = hashlib.sha256(canonical(manifest).encode()).hexdigest()
            text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n"
            (scratch / "manifest.json").write_text(text, encoding="utf-8")
            target = self.root / address
            target.mkdir(parents=True, exist_ok=True)
            for name in (*files, "manifest.json"):
                _sync(scratch / name)
                os.replace(scratch / name, target / name)  # noqa: PTH105 - the atomic rename
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _sweep(self, scratch: Path) -> None:
        """Remove what killed jobs of this machine left of the same artefact."""
        stem, host, _ = scratch.name.rsplit("@", 2)
        for leftover in scratch.parent.glob(f"{stem}@{host}@*"):
            pid = int(leftover.name.rsplit("@", 1)[1])
            if pid == os.getpid() or not _alive(pid):
                shutil.rmtree(leftover, ignore_errors=True)

    def addresses(self) -> list[str]:
        """The addresses of all artefacts below the root, finished or not, sorted."""
        folders = (path for stage in STAGES for path in (self.root / stage).glob("*-*"))
        return sorted(f"{p.parent.name}/{p.name}" for p in folders if p.is_dir() and any(p.iterdir()))


def atomic_write(path: Path, content: bytes) -> None:
    """Write a small file so that readers see the old bytes or the new ones, never half of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(content)
    _sync(scratch)
    os.replace(scratch, path)  # noqa: PTH105


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
