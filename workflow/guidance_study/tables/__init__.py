"""Tables: one file each. Nothing heavy is imported at the top: the plan reads these files too."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from guidance_study.config.experiments import Experiment
from guidance_study.config.sentences import known
from guidance_study.config.targets import OverSeeds, Target

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.execution.job import Job


def known_scales_and_arms(at: str, scales: list[float] | None, arms: list[str] | None, used: list[Experiment]) -> None:
    """Every experiment of a table evaluates all these scales, and one of them has each arm."""
    for i, scale in enumerate(scales or []):
        for experiment in used:
            known(f"{at}.scales[{i}]", scale, experiment.evaluation.scales)
    for i, arm in enumerate(arms or []):
        known(f"{at}.arms[{i}]", arm, sorted({a.name for experiment in used for a in experiment.arms}))


class Table(OverSeeds, Target):
    """An entry of `tables:`."""

    @abstractmethod
    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """The tidy numbers, the table to read (text, made by `reporting.render.framed`), the notes below it."""
