"""Datasets: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guidance_study.config import seams
from guidance_study.config.facts import Facts
from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.execution.job import Input, Job
    from guidance_study.sources.rawfiles import RawFile


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


class Dataset(seams.Kind):
    """An entry of `datasets:`. A dataset whose mixture is known has a `mixture()` besides."""

    @abstractmethod
    def facts(self) -> Facts:
        """What the plan must know; opens no data."""

    @abstractmethod
    def load(self) -> Arrays:
        """The arrays, made from verified files. Raises StudyError."""

    def files(self) -> "Sequence[RawFile]":
        """The files from outside."""
        return []

    def missing(self) -> str | None:
        """One sentence with the remedy if a file from outside is not there, else None; `load` checks digests."""
        return next((problem for file in self.files() if (problem := file.missing())), None)


class DatasetError(StudyError):
    """Raw files are missing or not what the recipe pinned; the message says which file and what to do."""


def spec_of(made: "Job | Input") -> Any:
    """The Spec of a `dataset` artefact, of which `raw` is content and no key of the configuration."""
    return seams.parse("datasets", {key: value for key, value in made.params.items() if key != "raw"})
