"""Figures: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from guidance_study.config.targets import Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from guidance_study.execution.job import Job


class Figure(Target):
    """An entry of `figures:`; most show samples, and ask for no metrics."""

    @abstractmethod
    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
