"""Datasets: one file each. A Spec here has

- `facts()`: what the plan must know; opens no data,
- `files()`: the files from outside, [] where there are none,
- `missing()`: one sentence with the remedy if one of them is not there, else None,
- `load()`: the arrays, made from verified files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidance_study.config import seams
from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.execution.job import Input, Job


@dataclass(frozen=True)
class Facts:
    """What the plan knows of a dataset without opening it. Nothing here imports numpy.

    Shape of a sample, samples of each class in the training and in the held-out part, raw file -> SHA-256.
    """

    shape: tuple[int, ...]
    train_counts: tuple[int, ...]
    held_out_counts: tuple[int, ...]
    raw: dict[str, str]

    @property
    def classes(self) -> int:
        return len(self.train_counts)


@dataclass(frozen=True)
class Blocks:
    """An array that need not fit into memory: its shape, and its rows in order as float32 blocks, made on the way."""

    shape: tuple[int, ...]
    blocks: "Iterator[np.ndarray]"

    def __len__(self) -> int:
        return self.shape[0]


@dataclass(frozen=True)
class Arrays:
    """A loaded dataset: samples (N, *shape) float32, images in [-1, 1]; labels (N,) int64 in [0, classes)."""

    train: "np.ndarray | Blocks"
    train_labels: "np.ndarray"
    held_out: "np.ndarray | Blocks"
    held_out_labels: "np.ndarray"


class DatasetError(StudyError):
    """Raw files are missing or not what the recipe pinned; the message says which file and what to do."""


def spec_of(made: "Job | Input"):
    """The Spec of a `dataset` artefact, of which `raw` is content and no key of the configuration."""
    return seams.parse("datasets", {key: value for key, value in made.params.items() if key != "raw"})
