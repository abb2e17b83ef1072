"""Datasets: one file each. A Spec here says what the plan must know (`facts`) and how to `load` the arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from guidance_study.errors import StudyError

if TYPE_CHECKING:
    import numpy as np


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
class Arrays:
    """A loaded dataset: samples (N, *shape) float32, images in [-1, 1]; labels (N,) int64 in [0, classes)."""

    train: "np.ndarray"
    train_labels: "np.ndarray"
    held_out: "np.ndarray"
    held_out_labels: "np.ndarray"


class DatasetError(StudyError):
    """Raw files are missing or not what the recipe pinned; the message says which file and what to do."""
