"""Folders of images from outside, known by the digest of a listing of their files.

Layout: <class>/<image>, or {train,val}/<class>/<image> (test where there is no val), as torchvision's ImageFolder.
`python -m guidance_study pin FOLDER` writes two files beside the folder, so that no plan has to read a million images:
FOLDER.files.tsv (relative path, SHA-256 of the file) and FOLDER.index.json (SHA-256 of that listing, images of each
class). Imports nothing heavy.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from guidance_study.sources.rawfiles import UNPINNED, RawFile, RawFileError, is_sha256, sha256_of, write_beside
from guidance_study.support.progress import track
from guidance_study.support.reading import Unreadable, read_json

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
LAYOUT = "<class>/<image>, or train/<class>/<image> and val/<class>/<image>"
WHOLE = "all"  # the one part of a folder that is not divided into train and val


@dataclass(frozen=True)
class RawFolder(RawFile):
    """A folder of images; its digest is the SHA-256 of its listing, None: the one in its index."""

    def beside(self, suffix: str) -> Path:
        """The file of that suffix beside the folder: '.index.json' or '.files.tsv'."""
        folder = self.path if self.path.name else self.path.absolute()
        return folder.with_name(folder.name + suffix)

    @property
    def index(self) -> dict | None:
        """{digest, counts: part -> class -> images}, or None where there is none, or that of another digest."""
        try:
            index = read_json(self.beside(".index.json"))
            found = {part: {str(c): int(n) for c, n in classes.items()} for part, classes in index["counts"].items()}
            usable = is_sha256(index["digest"]) and self.sha256 in (None, index["digest"])
            return {"digest": index["digest"], "counts": found} if usable else None
        except (Unreadable, ValueError, TypeError, KeyError, AttributeError):
            return None

    @property
    def digest(self) -> str:
        if self.sha256:
            return self.sha256
        return self.index["digest"] if self.index else UNPINNED

    def missing(self) -> str | None:
        """One sentence if the folder cannot be used yet, with the remedy; its files are checked when they are read."""
        if not self.path.is_dir():
            return f"folder '{self.path}' is missing; {self._remedy()}"
        if self.index:
            return None
        if self.sha256 not in (None, UNPINNED):
            return f"'{self.path}' has no index of digest {self.sha256}; {self._remedy()}"
        return f"'{self.path}' has no index of its files; run: python -m guidance_study pin {self.path}"

    def verified(self) -> Path:
        """The folder, its listing checked just now. Raises RawFileError."""
        here = self.placed()
        if problem := here.missing():
            raise RawFileError(problem)
        listing = here.beside(".files.tsv")
        if not listing.is_file() or sha256_of(listing) != here.digest:
            raise RawFileError(
                f"'{listing}' is not the listing that the index vouches for;"
                f" run: python -m guidance_study pin {here.path}"
            )
        return here.path

    def listing(self) -> dict[str, str]:
        """Relative path -> SHA-256, of a folder that was verified."""
        text = self.beside(".files.tsv").read_text(encoding="utf-8", errors="surrogateescape")
        return dict(line.split("\t") for line in text.split("\n")[:-1])

    def _remedy(self) -> str:
        which = f" with digest {self.sha256}" if self.sha256 not in (None, UNPINNED) else ""
        return f"put the images{which} there as {LAYOUT}, then run: python -m guidance_study pin {self.path}"


def write_index(folder: Path) -> dict:
    """Write the listing and the index of a folder beside it; returns the index. Raises RawFileError."""
    folder = Path(folder)
    raw = RawFolder(folder)
    if not folder.is_dir():
        raise RawFileError(raw.missing())
    parts = grouped(_images(folder))
    _check(folder, parts)
    paths = sorted(path for classes in parts.values() for paths in classes.values() for path in paths)
    lines = [f"{path}\t{sha256_of(folder / path)}\n" for path in track(paths, len(paths), f"pinning {folder.name}")]
    if problem := leak(dict(line.rstrip("\n").split("\t") for line in lines), parts):
        raise RawFileError(f"'{folder}': {problem}")
    text = "".join(lines)
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    index = {"digest": digest, "counts": counts(parts)}
    write_beside(folder, raw.beside(".files.tsv"), text)
    write_beside(folder, raw.beside(".index.json"), json.dumps(index, indent=1) + "\n")
    return index


def grouped(paths: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Part -> class -> relative paths, classes and paths sorted; images outside a class folder are left out."""
    split = [path.split("/") for path in sorted(paths)]
    tops = {names[0] for names in split if len(names) > 1}
    second = next((name for name in ("val", "test") if name in tops), None)
    parts = ("train", second) if second and "train" in tops else (WHOLE,)
    found: dict[str, dict[str, list[str]]] = {part: {} for part in parts}
    for names in split:
        part, inside = (WHOLE, names) if WHOLE in found else (names[0], names[1:])
        if part in found and len(inside) > 1:
            found[part].setdefault(inside[0], []).append("/".join(names))
    return {part: dict(sorted(classes.items())) for part, classes in found.items()}


def leak(listing: dict[str, str], parts: dict[str, dict[str, list[str]]]) -> str | None:
    """One sentence if an image is in both parts, or may be since a folder without parts has it twice; else None."""
    seen: dict[str, tuple[str, str]] = {}
    for part, classes in parts.items():
        for path in (path for paths in classes.values() for path in paths):
            other, first = seen.setdefault(listing[path], (part, path))
            if first != path and (other != part or part == WHOLE):
                return f"'{first}' and '{path}' are one image, which may be learnt from and held out; remove one"
    return None


def counts(parts: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, int]]:
    """Part -> class -> number of images."""
    return {part: {name: len(paths) for name, paths in classes.items()} for part, classes in parts.items()}


def _images(folder: Path) -> Iterator[str]:
    """Relative paths of the image files below a folder, hidden ones and their folders left out.

    Links are followed, but no folder is seen twice: a class would be counted as often.
    """
    seen: dict[tuple[int, int], Path] = {}
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = Path(here).stat()
        if (first := seen.setdefault((place.st_dev, place.st_ino), Path(here))) != Path(here):
            raise RawFileError(f"'{here}' and '{first}' are one folder, by a link; remove one of the two")
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                if not (Path(here) / name).is_file():
                    raise RawFileError(f"'{Path(here) / name}' is called like an image and is no file; remove it")
                path = (Path(here) / name).relative_to(folder).as_posix()
                if "\t" in path or "\n" in path or "\r" in path:
                    raise RawFileError(f"the name {path!r} in '{folder}' holds a tab or a line break; rename the file")
                yield path


def _check(folder: Path, parts: dict[str, dict[str, list[str]]]) -> None:
    if not any(parts.values()):
        raise RawFileError(f"'{folder}' holds no images as {LAYOUT}; image files end in {', '.join(EXTENSIONS)}")
    for part, classes in parts.items():
        for other, others in parts.items():
            if strange := sorted(classes.keys() - others.keys()):
                raise RawFileError(
                    f"class folder '{folder / part / strange[0]}' has no counterpart with images in '{folder / other}'"
                )
