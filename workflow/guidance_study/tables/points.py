"""Points judged by the closed form, before and after postprocessing (quantifies the paper's Figs. 4, 5 and S1)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Name, Scales
from guidance_study.config.sentences import comparable, distinct, known
from guidance_study.metrics import PointMetricName
from guidance_study.tables import Table, known_scales_and_arms

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

COMPARED = ("n", "manifold_k")


class PointTable(Table):
    """Rows: experiment, scale, and before, after each arm, retrieval; columns: metrics."""

    kind: Literal["points"]
    experiments: list[Name] = Field(min_length=1, description="names in `experiments`, judged by 'exact'")
    metrics: list[PointMetricName] = Field(min_length=1, description="columns (our guess)")
    scales: Scales | None = Field(None, description="guidance scales; null: every evaluated one")
    arms: list[str] | None = Field(None, description="arm names, controls too; null: all that are no controls")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist."""
        known_experiments(f"{at}.experiments", self.experiments, study)
        for key in ("metrics", "scales", "arms"):
            distinct(f"{at}.{key}", getattr(self, key) or [])
        used = [study.experiments[name] for name in self.experiments]
        known_scales_and_arms(at, self.scales, self.arms, used)
        evaluations = {name: study.experiments[name].evaluation for name in self.experiments}
        comparable(
            f"{at}.experiments",
            {name: {key: getattr(mine, key) for key in COMPARED} for name, mine in evaluations.items()},
        )

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """(experiment, every scale) and the metrics that it shows of it."""
        for name in self.experiments:
            yield (name, None), self.metrics

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of every experiment and seed."""
        return measured(plan, self.experiments, self.trained(plan.study.seeds))

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting import collect
        from guidance_study.tables.reporting.points import lines, notes, summarise
        from guidance_study.tables.reporting.render import framed

        rows, contents = collect(job, self.arms or ())
        if self.scales is not None:
            rows = rows[rows["scale"].isna() | rows["scale"].isin(self.scales)]
        if self.arms is not None:
            rows = rows[rows["arm"].isna() | rows["arm"].isin(self.arms)]
        summary = summarise(rows[rows["label"].isna() & rows["metric"].isin(self.metrics)])
        table = framed(lines(summary, self.metrics, job.params["settings"]))
        return summary, table, notes(rows, contents, job, self.metrics, self.arms and self.arms[:1])


def judged_exactly(study: "Study") -> list[str]:
    """Names of the experiments that the closed form judges."""
    return [name for name, experiment in study.experiments.items() if experiment.exact]


def known_experiments(at: str, names: list[str], study: "Study") -> None:
    """Every name is an experiment that the closed form judges, and stands once."""
    for i, name in enumerate(names):
        known(f"{at}[{i}]", name, judged_exactly(study))
    distinct(at, names)


def measured(plan: "Plan", names: list[str], seeds: list[int]) -> tuple[dict, dict]:
    """Inputs and `sources`, `settings` of a table over experiments that the closed form judges."""
    inputs, sources = {}, []
    for key in names:
        for seed in seeds:
            role = f"{key}/{seed}"
            inputs[role] = plan.measures(key, None, seed)
            sources.append({"role": role, "experiment": key, "seed": seed})
    return inputs, {"sources": sources, "settings": {key: described(key, plan.study) for key in names}}


def described(key: str, study: "Study") -> dict:
    """What tables and figures say of an experiment."""
    experiment = study.experiments[key]
    model = study.models[experiment.model]
    flows = {arm.name: study.postprocessors[arm.postprocessor] for arm in experiment.arms}
    return {
        "data": model.dataset,
        "base": {"steps": model.training.steps, "batch_size": model.training.batch_size} if model.training else None,
        "sampler": experiment.sampler.plain(),
        "pool": experiment.pool.plain(),
        "arms": {arm.name: arm.settings for arm in experiment.arms},
        "flows": {
            name: {"steps": f.training.steps, "batch_size": f.training.batch_size, "rtol": f.solver.rtol}
            for name, f in flows.items()
        },
    }
