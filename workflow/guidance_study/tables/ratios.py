"""The paper's Tab. 1: how much nearer to real data postprocessing brings points, the worst ones and all."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Name, Scales
from guidance_study.config.sentences import distinct, known
from guidance_study.tables import Table
from guidance_study.tables.images import paper_values
from guidance_study.tables.points import judged_exactly, measured

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

BESIDE = ("neighbour_mean", "neighbour_99", "right_class")  # before and after
RATIOS = ("ratio_1", "ratio_10", "ratio_all")  # the numbers of a cell, in the paper's order


class RatioTable(Table):
    """Rows: class and scale; the paper's triple beside ours, distances and right-class rates before and after."""

    kind: Literal["ratios"]
    experiment: Name = Field(description="name in `experiments`, judged by 'exact'")
    arm: str = Field(description="arm name, for instance points_k20_own")
    scales: Scales = Field(
        min_length=3,
        max_length=3,
        description="three, in the paper's order (paper: the first is 1; the others our guess)",
    )

    def check(self, at: str, study: "Study") -> None:
        """Its names exist."""
        known(f"{at}.experiment", self.experiment, judged_exactly(study))
        experiment = study.experiments[self.experiment]
        known(f"{at}.arm", self.arm, [arm.name for arm in experiment.arms])
        known(f"{at}.scales[0]", self.scales[0], [1.0])
        distinct(f"{at}.scales", self.scales)
        for i, scale in enumerate(self.scales):
            known(f"{at}.scales[{i}]", scale, experiment.evaluation.scales)

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """The experiment, and the metrics that it shows of it."""
        yield (self.experiment, None), [*RATIOS, *BESIDE]

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of the experiment, every seed; the paper's numbers."""
        inputs, said = measured(plan, [self.experiment], self.trained(plan.study.seeds))
        return inputs, said | {"paper": paper_values("table_1")}

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting import collect
        from guidance_study.tables.reporting.points import notes, ratio_lines, summarise
        from guidance_study.tables.reporting.render import framed

        rows, contents = collect(job)
        rows = rows[rows["metric"].isin([*RATIOS, *BESIDE])]
        summary = summarise(rows)
        table = framed(ratio_lines(summary, self.scales, self.arm, job.params["paper"]))
        reading = (
            "The paper's caption is lost; this is our reading of its three numbers. Scales beyond the first are our"
            f" guess; arm: {self.arm}."
        )
        said = notes(rows, contents, job, [*RATIOS, "neighbour_mean", "right_class"], [self.arm])
        return summary, table, [reading, *said]
