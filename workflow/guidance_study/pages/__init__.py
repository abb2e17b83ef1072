"""Pages: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from guidance_study.config.targets import Target

if TYPE_CHECKING:
    from guidance_study.execution.job import Job


@dataclass(frozen=True)
class Written:
    """A page as a file to open, as text, and what it says as plain data."""

    html: str
    markdown: str
    data: Any


class Page(Target):
    """An entry of `pages:`."""

    @abstractmethod
    def make(self, job: "Job") -> Written:
        """The page."""
