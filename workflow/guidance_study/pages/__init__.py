"""Pages: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from guidance_study.config.base import Title
from guidance_study.config.seams import Kind

if TYPE_CHECKING:
    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan
    from guidance_study.plan.recipes import Artefact


@dataclass(frozen=True)
class Written:
    """A page as a file to open, as text, and what it says as plain data."""

    html: str
    markdown: str
    data: Any


class Page(Kind):
    """An entry of `pages:`."""

    title: Title = Field(description="one line above the page")

    @abstractmethod
    def check(self, at: str, study: "Study") -> None:
        """Raise ValueError, one sentence, at its first key, below key `at`, that does not fit the study."""

    def asks(self, study: "Study") -> Iterable[tuple[tuple, list[str]]]:
        """What it shows metrics of, as a table says it."""
        return ()

    @abstractmethod
    def needs(self, plan: "Plan") -> "tuple[dict[str, Artefact], dict]":
        """Its inputs by role, and what else its recipe holds."""

    @abstractmethod
    def make(self, job: "Job") -> Written:
        """The page."""
