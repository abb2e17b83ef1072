"""Tables: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from guidance_study.config.base import Depth, Spec, Title
from guidance_study.config.seams import Kind

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan
    from guidance_study.plan.recipes import Artefact


class OverSeeds(Spec):
    """What shows a number of several training seeds."""

    seeds: Depth | None = Field(None, description="the first so many training seeds; null: all (our guess)")

    def trained(self, study: "Study") -> list[int]:
        """The training seeds that it shows."""
        return study.seeds[: self.seeds]


class Table(OverSeeds, Kind):
    """An entry of `tables:`."""

    title: Title = Field(description="one line above the table")

    @abstractmethod
    def check(self, at: str, study: "Study") -> None:
        """Raise ValueError, one sentence, at its first key, below key `at`, that does not fit the study."""

    def asks(self, study: "Study") -> Iterable[tuple[tuple, list[str]]]:
        """What it shows metrics of, (experiment, scale or None: all) or (trajectories, reference run), their names."""
        return ()

    @abstractmethod
    def needs(self, plan: "Plan") -> "tuple[dict[str, Artefact], dict]":
        """Its inputs by role, and what else its recipe holds."""

    @abstractmethod
    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """The tidy numbers, the table to read (text, made by `reporting.render.framed`), the notes below it."""
