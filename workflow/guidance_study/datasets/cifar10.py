"""CIFAR-10 (Krizhevsky 2009), from its archive of Python pickles."""

import tarfile
import tempfile
import traceback
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Digest
from guidance_study.datasets import Arrays, DatasetError
from guidance_study.datasets.pinned import Counts, PinnedImages, scaled
from guidance_study.sources.rawfiles import RawFile
from guidance_study.support.progress import log

if TYPE_CHECKING:
    import numpy as np

ARCHIVE = "cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
URLS = (
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-10-python.tar.gz",
)
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "held_out": ("test_batch",)}
UNPACKING = (tarfile.TarError, EOFError, OSError, zlib.error)


class CIFAR10(PinnedImages):
    """60 000 colour images of 32 x 32 pixels in 10 classes; the test images are the held-out part."""

    shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    kind: Literal["cifar10"]
    root: str = Field("data/cifar10", exclude=True, description="folder of the archive; changes no result (our guess)")
    sha256: Digest = Field(SHA256, description=f"SHA-256 of {ARCHIVE} (recovered: CIFAR-10's own)")
    train_counts: Counts = Field([5000] * 10, description="training images of each class (recovered: CIFAR-10's own)")
    held_out_counts: Counts = Field([1000] * 10, description="test images of each class (recovered: CIFAR-10's own)")

    def files(self) -> list[RawFile]:
        """The archive, and where it can be had."""
        return [RawFile(Path(self.root) / ARCHIVE, self.sha256, URLS)]

    def load(self) -> Arrays:
        """The two parts, images (n, 3, 32, 32), in the order of the batches. Raises StudyError.

        Pickles can run code: they are read only because the archive's digest has just matched the pinned one.
        """
        archive = self.files()[0].verified()
        with tempfile.TemporaryDirectory() as folder:
            try:
                with tarfile.open(archive, "r:gz") as tar:
                    tar.extractall(folder, filter="data")
            except UNPACKING as error:
                raise DatasetError(f"'{archive}' cannot be unpacked: {error}") from None
            return Arrays(*(array for part in BATCHES for array in self._part(part, folder, archive)))

    def _part(self, part: str, folder: str, archive: Path) -> "tuple[np.ndarray, np.ndarray]":
        import numpy as np

        images, labels = zip(*(_batch(folder, name, archive) for name in BATCHES[part]), strict=True)
        return scaled(np.concatenate(images)), self.checked(part, np.concatenate(labels), archive)


def _batch(folder: str, name: str, archive: Path) -> "tuple[np.ndarray, np.ndarray]":
    """Images (n, 3, 32, 32) uint8 and labels (n,) of one batch."""
    import numpy as np

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pickles of Python 2, written by a numpy of long ago
            found = _reader()(folder, name)
        images, labels = found.data.transpose(0, 3, 1, 2), np.array(found.targets, dtype=np.int64)
        if images.dtype == np.uint8 and len(images) == len(labels) and labels.min() >= 0:
            return images, labels
    except Exception:  # unpickling raises what it likes
        log(traceback.format_exc())
    raise DatasetError(f"batch '{name}' in '{archive}' is missing, cut short or no batch of CIFAR-10; get it again")


@cache
def _reader():
    """torchvision's reader, for one batch and without its own digests: the archive's was checked."""
    from torchvision import datasets

    class Batch(datasets.CIFAR10):
        def __init__(self, root: str, name: str):
            self.train_list = [(name, None)]
            super().__init__(root, train=True)

        def _check_integrity(self) -> bool:
            return True

        def _load_meta(self) -> None:
            """The names of the classes are not needed."""

    return Batch
