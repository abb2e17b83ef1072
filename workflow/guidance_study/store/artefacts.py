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
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from guidance_study.config.stages import STAGES
from guidance_study.plan.recipes import Artefact, recipe_key
from guidance_study.support.errors import StudyError
from guidance_study.support.params import Params
from guidance_study.support.reading import Unreadable, read_json
from guidance_study.support.text import canonical
from guidance_study.support.writing import explained, scratch_name, sha256, sweep, sync

SCRATCH = ".tmp"  # below results/: where artefacts grow before they are renamed into place
RESULTS = "results"  # the store of a run, as seen from its working directory
STALE = ".stale"  # below results/: artefacts set aside, made from other bytes than their inputs hold now
SHARDS = ".shards"  # below results/: where shards of an artefact write, until the artefact is finished
CHECKPOINTS = ".checkpoints"  # below results/: outside the outputs, which Snakemake deletes when a job fails


RECIPE = {"stage", "params", "inputs"}  # what a recipe has at least


class DamagedArtefact(StudyError):
    """A file of an artefact is missing or does not have the bytes that its manifest says."""


class Store:
    """Artefacts below one folder, `root` (results/)."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def manifest_path(self, address: str) -> Path:
        return self.root / address / "manifest.json"

    def manifest(self, address: str) -> dict | None:
        """The manifest at an address, or None where there is none; DamagedArtefact if it cannot be read."""
        path = self.manifest_path(address)
        return self.read(path) if os.path.lexists(path) else None

    @staticmethod
    def read(path: Path) -> dict:
        """A manifest from its file; DamagedArtefact if it is none, or not the one that was written."""
        try:
            manifest = read_json(path, "a manifest")
            body = {name: value for name, value in manifest.items() if name != "digest"}
            text = canonical(body)
        except (Unreadable, ValueError) as error:  # JSON that `canonical` refuses has NaN in it
            found = error if isinstance(error, Unreadable) else f"'{path}' is damaged: it is not a manifest any more"
            raise DamagedArtefact(str(found)) from None
        if hashlib.sha256(text.encode()).hexdigest() != manifest.get("digest"):
            raise DamagedArtefact(f"'{path}' is damaged: it was altered after it was written")
        recipe, files = manifest.get("recipe"), manifest.get("files")
        if not isinstance(recipe, dict) or not recipe.keys() >= RECIPE or not isinstance(files, dict):
            raise DamagedArtefact(f"'{path}' is damaged: it is not a manifest any more")
        return dict(manifest)

    def has(self, artefact: Artefact) -> bool:
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
                continue
            try:
                if sha256(path) != expected:
                    found.append(f"'{path}' is damaged: its SHA-256 is not the one in its manifest")
            except OSError as error:
                found.append(f"'{path}' cannot be read: {error.strerror}")
        return found

    def open(self, address: str) -> Path:
        """The folder of a finished artefact whose digests were just found right; DamagedArtefact otherwise."""
        damages = self.damages(address)
        if damages:
            raise DamagedArtefact(f"{damages[0]}; delete '{self.root / address}' and run again to rebuild it")
        _not_in_the_future(self.manifest_path(address))
        return self.root / address

    @contextlib.contextmanager
    def exclusive(self, address: str) -> Iterator[None]:
        """Wait until no other process makes this artefact: a job may outlive the run that started it.

        The lock is the kernel's, on the artefact's folder, and ends with its process; file systems without such
        locks go without: two jobs then write the same bytes twice.
        """
        folder = self.root / address
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def drop_checkpoints(self, address: str) -> None:
        """Remove the checkpoints and shards of a finished artefact, and the folders that they leave empty."""
        for folder in (self.root / CHECKPOINTS / address, self.root / SHARDS / address):
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()
                folder.parent.parent.rmdir()

    def drop_leftovers(self, addresses: Iterable[str]) -> None:
        """Remove what a job leaves that is killed between finishing its artefact and removing its checkpoints."""
        for address in addresses:
            kept = any((self.root / folder / address).exists() for folder in (CHECKPOINTS, SHARDS))
            if kept and self.manifest_path(address).is_file():
                self.drop_checkpoints(address)

    @contextlib.contextmanager
    def write(self, address: str, describe: Callable[[], Params]) -> Iterator[Path]:
        """A scratch folder whose files become the artefact if the block ends well, and vanish if it does not.

        `describe()` is called at the end and returns the manifest without `files` and `digest`.
        """
        files = STAGES[address.split("/", 1)[0]].files
        scratch = self.root / SCRATCH / scratch_name(address.replace("/", "."))
        target = self.root / address
        try:
            with explained(target, scratch):
                sweep(scratch.parent, scratch.name.rsplit("@", 2)[0])
                shutil.rmtree(scratch, ignore_errors=True)  # of a killed process that had this one's number
                scratch.mkdir(parents=True)
                yield scratch
                missing = [name for name in files if not (scratch / name).is_file()]
                if missing:
                    raise RuntimeError(f"stage of '{address}' wrote no '{missing[0]}'")
                manifest = describe() | {"files": {name: sha256(scratch / name) for name in files}}
                manifest["digest"] = hashlib.sha256(canonical(manifest).encode()).hexdigest()
                text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False) + "\n"
                (scratch / "manifest.json").write_text(text, encoding="utf-8")
                target.mkdir(parents=True, exist_ok=True)
                for name in (*files, "manifest.json"):
                    sync(scratch / name)
                    os.replace(scratch / name, target / name)  # noqa: PTH105 - the atomic rename
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def addresses(self) -> list[str]:
        """The addresses of all artefacts below the root, finished or not, sorted."""
        folders = (path for stage in STAGES for path in (self.root / stage).glob("*-*"))
        return sorted(f"{p.parent.name}/{p.name}" for p in folders if p.is_dir() and any(p.iterdir()))


def content(manifest: dict) -> str:
    """One digest of all files of an artefact; two runs with the same results have the same."""
    return hashlib.sha256(canonical(manifest["files"]).encode()).hexdigest()


def _not_in_the_future(path: Path) -> None:
    """Date a file back to now that another machine's clock dated: Snakemake refuses outputs older than their inputs."""
    with contextlib.suppress(OSError):
        if path.stat().st_mtime > time.time():
            os.utime(path)
