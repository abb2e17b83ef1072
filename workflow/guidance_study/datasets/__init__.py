"""Datasets: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from guidance_study.config import seams
from guidance_study.config.base import Seed
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
    """A loaded dataset: samples (N, *shape) float32, images in [-1, 1]; labels (N,) int64 in [0, classes).

    The judges' share is still among the training samples.
    """

    train: "np.ndarray | Blocks"
    train_labels: "np.ndarray"
    held_out: "np.ndarray | Blocks"
    held_out_labels: "np.ndarray"


class Dataset(seams.Kind):
    """An entry of `datasets:`. A dataset whose mixture is known has a `mixture()` besides."""

    judges: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of every class of the training data that is set apart for judges: no base model, flow or"
        " neighbour is of it (our guess; 0: judges learn from what models learn from)",
    )
    seed: Seed | None = Field(
        None, description="of its draws and splits; null: the training seed, which so redraws them (our guess)"
    )

    @abstractmethod
    def facts(self) -> Facts:
        """What the plan must know; opens no data."""

    @abstractmethod
    def load(self) -> Arrays:
        """The arrays, made from verified files. Raises StudyError."""

    def parts(self) -> Facts:
        """Its facts, the judges' share set apart."""
        return self.facts().apart(self.judges)

    def random(self) -> bool:
        """Whether a seed draws or splits it."""
        return self.judges > 0

    def judged(self, labels: "np.ndarray") -> "np.ndarray":
        """Which training samples (N,) bool, of these labels, are the judges': drawn by class from the seed."""
        import numpy as np

        from guidance_study.support.randomness import generator

        chosen = np.zeros(len(labels), dtype=bool)
        for label, n in enumerate(np.bincount(labels)) if self.judges else ():
            mine = generator(self.seed or 0, "split/judges", label).permutation(np.flatnonzero(labels == label))
            chosen[mine[: round(self.judges * n)]] = True
        return chosen

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
