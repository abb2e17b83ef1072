"""What image datasets from outside share: pinned digests, pixels, and the images that each class must have."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from guidance_study.config.base import PositiveInt
from guidance_study.datasets import Dataset, DatasetError, Facts
from guidance_study.sources.rawfiles import RawFile

if TYPE_CHECKING:
    import numpy as np


Counts = Annotated[list[PositiveInt], Field(min_length=1)]


class PinnedImages(Dataset):
    """Images from `files()`, a training and a held-out part, whose numbers of images of each class are known."""

    train_counts: Counts
    held_out_counts: Counts

    shape: ClassVar[tuple[int, int, int]]  # of an image (channels, height, width)

    @model_validator(mode="after")
    def _same_classes(self):
        if len(self.train_counts) != len(self.held_out_counts):
            raise ValueError(
                f"train_counts has {len(self.train_counts)} classes and held_out_counts"
                f" {len(self.held_out_counts)}; give one number a class in both"
            )
        return self

    @abstractmethod
    def files(self) -> list[RawFile]:
        """The files that it is read from."""

    def facts(self) -> Facts:
        raw = {file.name: file.digest for file in self.files()}
        return Facts(self.shape, tuple(self.train_counts), tuple(self.held_out_counts), raw)

    def checked(self, part: str, labels: "np.ndarray", where: Path) -> "np.ndarray":
        """The labels (n,) as int64. Raises DatasetError if a class has another number of images than configured."""
        import numpy as np

        expected = getattr(self, f"{part}_counts")
        found = np.bincount(labels, minlength=len(expected))
        if len(found) > len(expected):
            raise DatasetError(f"'{where}' has an image of class {len(found) - 1}, but {part}_counts ends with class"
                               f" {len(expected) - 1}")  # fmt: skip
        for label, (n, wanted) in enumerate(zip(found, expected, strict=True)):
            if n != wanted:
                raise DatasetError(f"'{where}' has {n} images of class {label}, but {part}_counts says {wanted}")
        return labels.astype(np.int64)


def scaled(pixels: "np.ndarray") -> "np.ndarray":
    """Pixels 0..255 as float32 in [-1, 1]; the shape stays."""
    import numpy as np

    scaled = pixels.astype(np.float32)
    scaled /= 127.5  # in place: a large dataset would not fit twice
    scaled -= 1
    return scaled
