"""MNIST (LeCun et al. 1998), and what is written in its format."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from guidance_study.config.base import Digest
from guidance_study.datasets import Arrays, DatasetError
from guidance_study.datasets.pinned import Counts, PinnedImages, scaled
from guidance_study.sources.archives import BrokenArchive, plain_bytes
from guidance_study.sources.rawfiles import RawFile

if TYPE_CHECKING:
    import numpy as np

MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
)
DIGESTS = {  # of the files unpacked: how they are packed differs from mirror to mirror
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
PREFIXES = {"train": "train", "held_out": "t10k"}  # part -> beginning of its files' names
TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # images of the digits 0 to 9
TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
UINT8 = 8  # how an IDX file says that its numbers are bytes
LARGEST = 2**28  # bytes of a file at most: six times MNIST's largest


class MNIST(PinnedImages):
    """70 000 grey images of 28 x 28 pixels, handwritten digits; the test images are the held-out part."""

    shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    kind: Literal["mnist"]
    root: str = Field(
        "data/mnist",
        exclude=True,
        description="folder of the four files, gzipped or not; changes no result (our guess)",
    )
    sha256: dict[str, Digest] = Field(
        DIGESTS, description="SHA-256 of each of the four files, unpacked (recovered: MNIST's own)"
    )
    train_counts: Counts = Field(TRAIN, description="training images of each class (recovered: MNIST's own)")
    held_out_counts: Counts = Field(TEST, description="test images of each class (recovered: MNIST's own)")

    @field_validator("sha256")
    @classmethod
    def _all_files(cls, digests: dict[str, str]) -> dict[str, str]:
        if digests.keys() != DIGESTS.keys():
            raise ValueError(f"holds digests of {', '.join(digests) or 'no file'}; needed are {', '.join(DIGESTS)}")
        return digests

    def files(self) -> list[RawFile]:
        """The four files, and where they can be had."""
        return [
            RawFile(
                Path(self.root) / f"{name}.gz", self.sha256[name], tuple(f"{url}{name}.gz" for url in MIRRORS), LARGEST
            )
            for name in DIGESTS
        ]

    def load(self) -> Arrays:
        """The two parts, images (n, 1, 28, 28), in the order of the files. Raises StudyError."""
        paths = {file.name: file.verified() for file in self.files()}
        parts = []
        for part, prefix in PREFIXES.items():
            images_at, labels_at = paths[f"{prefix}-images-idx3-ubyte"], paths[f"{prefix}-labels-idx1-ubyte"]
            images, labels = _read(images_at, "images"), _read(labels_at, "labels")
            if images.shape[1:] != self.shape[1:]:
                raise DatasetError(f"'{images_at}' has images of {images.shape[1]} x {images.shape[2]}, not 28 x 28")
            if len(images) != len(labels):
                raise DatasetError(f"'{images_at}' has {len(images)} images, '{labels_at}' {len(labels)} labels")
            parts += [scaled(images[:, None]), self.checked(part, labels, labels_at)]
        return Arrays(*parts)


def _read(path: Path, what: str) -> "np.ndarray":
    """Images (n, h, w) or labels (n,) uint8 of an IDX file: two zeros, type, dimensions, sizes, data."""
    import numpy as np

    broken = f"'{path}' is cut short or is no IDX file of {what}; get it again"
    try:
        content = plain_bytes(path, LARGEST)
    except BrokenArchive:
        raise DatasetError(broken) from None
    dimensions = {"images": 3, "labels": 1}[what]
    begins = bytes([0, 0, UINT8, dimensions])
    sizes = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(dimensions)]
    if content[:4] != begins or len(content) != 4 + 4 * dimensions + math.prod(sizes):
        raise DatasetError(broken)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(sizes)
