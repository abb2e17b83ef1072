"""scikit-learn's handwritten digits (Alpaydin & Kaynak 1998): real, small, and installed with the package."""

import hashlib
import importlib.util
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.datasets import Arrays, Dataset, DatasetError, Facts

COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)  # images of the digits 0 to 9
RAW = {"digits.csv.gz": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"}
LACKING = "scikit-learn's digits.csv.gz is not there; run: pip install scikit-learn"


class Digits(Dataset):
    """1797 images of 8 x 8 pixels in 10 classes; a share of every class is held out of all training."""

    renamed: ClassVar = {"split_seed": "seed"}

    kind: Literal["digits"]
    held_out: float = Field(0.2, gt=0, lt=1, description="held-out share of every class (our guess)")

    def facts(self) -> Facts:
        held_out = tuple(min(max(round(n * self.held_out), 1), n - 1) for n in COUNTS)
        train = tuple(n - h for n, h in zip(COUNTS, held_out, strict=True))
        return Facts((1, 8, 8), train, held_out, RAW)

    def random(self) -> bool:
        return True

    def missing(self) -> str | None:
        """The raw file comes with scikit-learn."""
        path = _raw_file()
        return None if path and path.is_file() else LACKING

    def load(self) -> Arrays:
        """The two parts, classes in turn within each, pixels 0..16 mapped to [-1, 1].

        Raises DatasetError if the raw file is missing or is not the pinned one.
        """
        import numpy as np
        from sklearn.datasets import load_digits

        from guidance_study.support.randomness import generator

        path = _raw_file()
        if path is None or not path.is_file():
            raise DatasetError(LACKING)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != RAW["digits.csv.gz"]:
            raise DatasetError(f"'{path}' has SHA-256 {found}, pinned is {RAW['digits.csv.gz']}")
        raw = load_digits()
        images = (raw.images[:, None] / 8 - 1).astype(np.float32)
        train, held_out = [], []
        for label, held in enumerate(self.facts().held_out_counts):
            mine = np.flatnonzero(raw.target == label)
            mine = generator(self.seed or 0, "split/digits", label).permutation(mine)
            held_out.append(mine[:held])
            train.append(mine[held:])
        first, second = np.concatenate(train), np.concatenate(held_out)
        labels = raw.target.astype(np.int64)
        return Arrays(images[first], labels[first], images[second], labels[second])


def _raw_file() -> Path | None:
    package = importlib.util.find_spec("sklearn")  # finds it without importing it
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
