"""A folder of images of one's own, or ImageNet: a folder a class (torchvision's ImageFolder)."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_serializer, model_validator

from guidance_study.config.base import Digest, PositiveInt
from guidance_study.config.facts import UNKNOWN
from guidance_study.datasets import Arrays, Blocks, Dataset, DatasetError, Facts
from guidance_study.datasets.pinned import scaled
from guidance_study.sources.rawfiles import UNPINNED
from guidance_study.sources.rawfolders import WHOLE, RawFolder, counts, grouped, leak
from guidance_study.support.progress import track

if TYPE_CHECKING:
    import numpy as np

BLOCK = 64  # images in memory at once
LARGEST = 2**27  # pixels of an image at most, as it is and resized
MODES = {1: ("L", "grey"), 3: ("RGB", "colour")}  # channels -> PIL's name of such images, and ours
Rows = list[tuple[str, int]]  # relative path, label


class ImageFolder(Dataset):
    """Images of any size and number of classes, resized and cropped to squares, labelled by the order of folders."""

    renamed: ClassVar = {"split_seed": "seed"}

    kind: Literal["image_folder"]
    root: str = Field(
        "data/images",
        exclude=True,
        description="the folder, pinned with `python -m guidance_study pin FOLDER` (our guess)",
    )
    sha256: Digest | None = Field(None, description="digest of the folder; null: the one in its index (our guess)")
    size: PositiveInt = Field(
        description="pixels of a side: the shorter side is resized to it, the centre kept (our guess)"
    )
    channels: Literal[1, 3] = Field(3, description="1 for grey, 3 for colour images (our guess)")
    convert: bool = Field(
        False, description="convert images of other modes (grey among colour, palette, alpha), not stop (our guess)"
    )
    classes: PositiveInt = Field(description="class folders that there must be (our guess: ImageNet has 1000)")
    held_out: float = Field(
        0.1, gt=0, lt=1, description="held-out share of every class, where there are no folders train and val or test"
        " (our guess)",
    )  # fmt: skip

    @model_validator(mode="after")
    def _fits(self):
        index = self.folder.index
        if index and (problem := self._problem(index["counts"])):
            raise ValueError(problem)
        return self

    @field_serializer("sha256")
    def _recipe(self, _) -> str:
        return self.folder.digest

    @property
    def folder(self) -> RawFolder:
        """The folder, in the plan and in a job alike."""
        return RawFolder(Path(self.root), self.sha256)

    def files(self) -> list[RawFolder]:
        """The folder."""
        return [self.folder]

    def facts(self) -> Facts:
        """From the index; as long as there is none, every class passes for large enough."""
        folder, shape = self.folder, (self.channels, self.size, self.size)
        raw = {"index": folder.digest} | ({"root": self.root} if folder.digest == UNPINNED else {})
        if (index := folder.index) is None:
            return Facts(shape, (UNKNOWN,) * self.classes, (UNKNOWN,) * self.classes, raw)
        train, held_out = self._sizes(index["counts"])
        return Facts(shape, train, held_out, raw)

    def random(self) -> bool:
        """Where there are folders train and val or test, the judges' share alone is drawn."""
        index = self.folder.index
        return self.judges > 0 or (index is not None and WHOLE in index["counts"])

    def load(self) -> Arrays:
        """The two parts, images (n, channels, size, size), classes in turn. Raises StudyError, also on the way."""
        import numpy as np

        folder = self.folder.placed()
        folder.verified()
        listing = folder.listing()
        parts = grouped(listing)
        if problem := self._problem(counts(parts)) or leak(listing, parts):
            raise DatasetError(f"'{folder.path}': {problem}")
        arrays: list[Any] = []
        for what, rows in zip(("training images", "held-out images"), self._split(parts), strict=True):
            shape = (len(rows), self.channels, self.size, self.size)
            arrays.append(Blocks(shape, self._blocks(folder.path, listing, rows, what)))
            arrays.append(np.array([label for _, label in rows], dtype=np.int64))
        return Arrays(*arrays)

    def _problem(self, found: dict[str, dict[str, int]]) -> str | None:
        """What of part -> class -> images does not fit this configuration, in one sentence."""
        names = next(iter(found.values()))
        if len(names) != self.classes:
            listed = ", ".join(list(names)[:5]) + (", ..." if len(names) > 5 else "")
            return f"classes is {self.classes}, but the folder has {len(names)} class folders ({listed})"
        lonely = [name for name, n in names.items() if WHOLE in found and n < 2]
        if lonely:
            return f"class folder '{lonely[0]}' has one image, but some are held out: at least 2 are needed"
        return None

    def _sizes(self, found: dict[str, dict[str, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Images of each class in the training and in the held-out part."""
        if WHOLE not in found:
            train, held_out = (tuple(classes.values()) for classes in found.values())
            return train, held_out
        all_of = found[WHOLE].values()
        held_out = tuple(min(max(round(n * self.held_out), 1), n - 1) for n in all_of)
        return tuple(n - held for n, held in zip(all_of, held_out, strict=True)), held_out

    def _split(self, parts: dict[str, dict[str, list[str]]]) -> tuple[Rows, Rows]:
        """The images of the training and of the held-out part, labelled."""
        from guidance_study.support.randomness import generator

        if WHOLE not in parts:
            train, held_out = ([(p, y) for y, paths in enumerate(c.values()) for p in paths] for c in parts.values())
            return train, held_out
        train, held_out = [], []
        for label, (paths, held) in enumerate(zip(parts[WHOLE].values(), self._sizes(counts(parts))[1], strict=True)):
            order = generator(self.seed or 0, "split/image_folder", label).permutation(len(paths))
            held_out += [(paths[i], label) for i in order[:held]]
            train += [(paths[i], label) for i in order[held:]]
        return train, held_out

    def _blocks(self, folder: Path, listing: dict[str, str], rows: Rows, what: str) -> "Iterator[np.ndarray]":
        """The images of some rows, read by as many threads as the job has."""
        import numpy as np

        from guidance_study.support.settings import setting

        def image(path: str) -> np.ndarray:
            return self._image(folder / path, listing[path])

        with ThreadPoolExecutor(setting("threads", 1)) as threads:
            starts = range(0, len(rows), BLOCK)
            for start in track(starts, len(starts), f"blocks of {what}"):
                yield scaled(np.stack(list(threads.map(image, (path for path, _ in rows[start : start + BLOCK])))))

    def _image(self, path: Path, digest: str) -> "np.ndarray":
        """One image (channels, size, size) uint8; the bytes that are decoded are those whose digest is checked."""
        import numpy as np
        from PIL import Image, ImageOps
        from torchvision.transforms import InterpolationMode, functional

        try:
            content = path.read_bytes()
        except OSError as error:
            raise DatasetError(f"image '{path}' cannot be read: {error.strerror}; restore it") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise DatasetError(f"image '{path}' changed since it was pinned; restore it, or pin the folder again")
        mode, _ = MODES[self.channels]
        try:
            with Image.open(io.BytesIO(content)) as found:
                self._check_size(found.size, path)
                found.load()
                self._check_mode(found.mode, path)
                upright = ImageOps.exif_transpose(found)
                image = upright if upright.mode == mode else upright.convert(mode)
        except DatasetError:
            raise
        except Exception as error:  # decoders raise what they like
            raise DatasetError(f"image '{path}' cannot be decoded: {' '.join(str(error).split())}") from None
        image = functional.resize(image, self.size, InterpolationMode.BICUBIC)  # antialiased, as PIL always is
        pixels = np.asarray(functional.center_crop(image, [self.size, self.size]))
        return pixels.reshape(self.size, self.size, self.channels).transpose(2, 0, 1)

    def _check_size(self, size: tuple[int, int], path: Path) -> None:
        """Raises DatasetError if an image of this width and height, or what it is resized to, is too large."""
        short, long = min(size), max(size)
        if short < 1 or max(short * long, self.size * self.size * long // short) > LARGEST:
            raise DatasetError(
                f"image '{path}' has {size[0]} x {size[1]} pixels, which are more than {LARGEST} or become so when the"
                f" shorter side is resized to {self.size}; crop it or remove it"
            )

    def _check_mode(self, found: str, path: Path) -> None:
        """Raises DatasetError if an image of PIL's mode `found` cannot be taken."""
        mode, name = MODES[self.channels]
        if found.startswith(("I", "F")):
            raise DatasetError(f"image '{path}' has mode {found}, but only 8 bits a channel are read; convert the file")
        if found != mode and not self.convert:
            what = next((word for other, word in MODES.values() if found == other), "of another mode")
            raise DatasetError(
                f"image '{path}' is {what} ({found}), but channels: {self.channels} asks for {name} images ({mode});"
                " remove it, or set convert: true"
            )
