"""CIFAR-10 (Krizhevsky 2009), from its archive of Python pickles."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Digest
from guidance_study.datasets import Arrays, DatasetError
from guidance_study.datasets.pinned import Counts, PinnedImages, scaled
from guidance_study.sources.archives import Members, members
from guidance_study.sources.rawfiles import RawFile

if TYPE_CHECKING:
    import numpy as np

ARCHIVE = "cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
URLS = (
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-10-python.tar.gz",
)
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "held_out": ("test_batch",)}
FOLDER = "cifar-10-batches-py/"  # in the archive
LARGEST = 2**26  # bytes of a batch at most: twice a real one


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
        """The two parts, images (n, 3, 32, 32), in the order of the batches. Raises StudyError."""
        archive = self.files()[0].verified()
        with members(archive, LARGEST) as found:
            return Arrays(*(array for part in BATCHES for array in self._part(part, found, archive)))

    def _part(self, part: str, found: Members, archive: Path) -> "tuple[np.ndarray, np.ndarray]":
        import numpy as np

        images, labels = zip(*(_batch(found, name, archive) for name in BATCHES[part]), strict=True)
        return scaled(np.concatenate(images)), self.checked(part, np.concatenate(labels), archive)


def _batch(found: Members, name: str, archive: Path) -> "tuple[np.ndarray, np.ndarray]":
    """Images (n, 3, 32, 32) uint8 and labels (n,) of one batch: a pickle of rows of red, green and blue pixels."""
    import numpy as np

    from guidance_study.support.pickles import UnsafePickle, unpickled

    broken = f"batch '{name}' in '{archive}' is missing, cut short or no batch of CIFAR-10; get it again"
    if (content := found.read(FOLDER + name)) is None:
        raise DatasetError(broken)
    try:
        batch = unpickled(io.BytesIO(content))
        data, labels = batch["data"], np.array(batch["labels"])
        images = data.reshape(len(data), *CIFAR10.shape)
    except UnsafePickle as error:
        raise DatasetError(f"batch '{name}' in '{archive}' is not read: {error}") from None
    except Exception:  # an object of any kind may come out of a pickle
        raise DatasetError(broken) from None
    if data.dtype != np.uint8 or labels.dtype.kind != "i" or labels.shape != data.shape[:1] or labels.min() < 0:
        raise DatasetError(broken)
    return images, labels.astype(np.int64)
