"""Pairs of runs that Eq. (4) says are equal: what the table and the figure of its gap share.

Without a `kind`, this is no table that a configuration may name.
"""

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from guidance_study.config.base import Name, Spec
from guidance_study.config.sentences import known
from guidance_study.config.targets import OverSeeds
from guidance_study.tables.trajectories import known_runs, travelled

if TYPE_CHECKING:
    from guidance_study.config.study import Study
    from guidance_study.guidance import Guidance
    from guidance_study.plan.plan import Plan


class Pair(Spec):
    """Two runs that Eq. (4) says are equal: the conditional model, and unconditional eps with a classifier."""

    left: Name = Field(description="a run of the conditional model, at its first scale")
    right: Name = Field(
        description="a run of unconditional eps and a classifier, or, for what two trainings differ by, of another"
        " conditional model; at its first scale"
    )


def _stands(side: str, guidance: "Guidance") -> bool:
    """Whether a run at scale 1 is that side of Eq. (4); on the right also another conditional model, trained again."""
    if "classifier" not in guidance.roles:
        return guidance.conditional
    return side == "right" and not guidance.conditional and getattr(guidance, "gradient_factor", 0) == 1


class PairsSpec(OverSeeds):
    """Pairs of runs over entries of `trajectories`."""

    renamed: ClassVar = {"paths": "trajectories"}

    trajectories: list[Name] = Field(min_length=1, description="names in `trajectories`")
    pairs: list[Pair] = Field(
        min_length=1, description="rows, from the top; in a table the others are a share of the first one"
    )

    def check(self, at: str, study: "Study") -> None:
        """The pairs' runs exist, begin with scale 1, and are of the side of Eq. (4) that they stand on."""
        for i, pair in enumerate(self.pairs):
            known_runs(at, self.trajectories, [pair.left, pair.right], study)
            for name in self.trajectories:
                runs = study.trajectories[name].runs
                for side, run in (("left", pair.left), ("right", pair.right)):
                    known(f"trajectories.{name}.runs.{run}.scales[0]", runs[run].scales[0], [1.0])
                    if not _stands(side, runs[run].guidance):
                        needed = "a conditional model without a classifier"
                        if side == "right":
                            needed = "a classifier with gradient_factor 1 and an unconditional base, or of " + needed
                        raise ValueError(
                            f"configuration key '{at}.pairs[{i}].{side}' has the value '{run}': that side of Eq. (4) is"
                            f" a run of {needed}"
                        )

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The trajectories of every entry and seed."""
        return travelled(plan, self.trajectories, self.trained(plan.study.seeds))
