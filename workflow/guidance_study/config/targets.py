"""What tables, figures and pages share: a title, a check against the study, and what their recipe is made of."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from guidance_study.config.base import Depth, Spec, Title
from guidance_study.config.seams import Kind
from guidance_study.support.params import Params

if TYPE_CHECKING:
    from guidance_study.config.study import Study


class OverSeeds(Spec):
    """What shows a number of several training seeds."""

    seeds: Depth | None = Field(None, description="the first so many training seeds; null: all (our guess)")

    def trained(self, seeds: list[int]) -> list[int]:
        """Those of a study's training seeds that it shows."""
        return seeds[: self.seeds]


class Target(Kind):
    """An entry of `tables:`, `figures:` or `pages:`; its name is a target of `snakemake`."""

    title: Title = Field(description="one line above it")

    @abstractmethod
    def check(self, at: str, study: "Study") -> None:
        """Raise ValueError, one sentence, at its first key, below key `at`, that does not fit the study."""

    def asks(self, study: "Study") -> Iterable[tuple[tuple[str, float | str | None], list[str]]]:
        """What it shows metrics of, (experiment, scale or None: all) or (trajectories, reference run), their names."""
        return ()

    @abstractmethod
    def needs(self, plan: Any) -> tuple[dict[str, Any], Params]:
        """Its inputs, artefacts of the Plan by role, and what else its recipe holds."""
