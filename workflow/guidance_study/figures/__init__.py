"""Figures: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from guidance_study.config.base import Title
from guidance_study.config.seams import Kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan
    from guidance_study.plan.recipes import Artefact


class Figure(Kind):
    """An entry of `figures:`."""

    title: Title = Field(description="one line above the figure")

    @abstractmethod
    def check(self, at: str, study: "Study") -> None:
        """Raise ValueError, one sentence, at its first key, below key `at`, that does not fit the study."""

    def asks(self, study: "Study") -> Iterable[tuple[tuple, list[str]]]:
        """What it shows metrics of, as a table says it; most figures show samples."""
        return ()

    @abstractmethod
    def needs(self, plan: "Plan") -> "tuple[dict[str, Artefact], dict]":
        """Its inputs by role, and what else its recipe holds."""

    @abstractmethod
    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
