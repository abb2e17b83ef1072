"""What postprocessing costs beside sampling, by batch size (paper, Sec. D.2)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Name, PositiveInt, Scale
from guidance_study.config.sentences import distinct, known
from guidance_study.tables import Table
from guidance_study.tables.images import paper_values

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class CostTable(Table):
    """Rows: batch sizes; seconds an image, evaluations, peak memory; the paper's 4.5 s and 1.6 GB."""

    kind: Literal["cost"]
    experiment: Name = Field(description="name in `experiments`")
    arm: str = Field(description="arm name, for instance dinov2_patch_k20")
    scale: Scale = Field(description="an evaluated guidance scale")
    batches: list[PositiveInt] = Field([1, 64, 512], min_length=1, description="images at a time (our guess)")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist."""
        known(f"{at}.experiment", self.experiment, study.experiments)
        experiment = study.experiments[self.experiment]
        known(f"{at}.arm", self.arm, [arm.name for arm in experiment.arms])
        known(f"{at}.scale", self.scale, experiment.evaluation.scales)
        distinct(f"{at}.batches", self.batches)

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measured cost, of the first training seed."""
        arm = next(a for a in plan.study.experiments[self.experiment].arms if a.name == self.arm)
        cost = plan.cost(self.experiment, arm, self.scale, self.batches, plan.study.seeds[0])
        return {"cost": cost}, {"paper": paper_values("cost")}

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting.cost import lines, notes, tidy
        from guidance_study.tables.reporting.render import framed

        rows, content = tidy(job)
        return rows, framed(lines(rows, job.params["paper"])), notes(content)
