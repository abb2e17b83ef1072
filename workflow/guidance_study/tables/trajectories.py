"""Trajectories in numbers: boundary, class, bend, distance to the exact ones (quantifies the paper's Figs. 1 to 3)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Name
from guidance_study.config.sentences import distinct, known
from guidance_study.config.trajectories import EXACT
from guidance_study.metrics import TrajectoryMetricName
from guidance_study.tables import Table

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class TrajectoryTable(Table):
    """Rows: data, run and scale; columns: metrics of the trajectories."""

    renamed: ClassVar = {"paths": "trajectories"}

    kind: Literal["trajectories"]
    trajectories: list[Name] = Field(min_length=1, description="names in `trajectories`")
    runs: list[Name] | None = Field(None, min_length=1, description="names of runs; null: all")
    reference: Name = Field("exact", description="the run whose trajectories at scale 1 are the exact conditional ones")
    metrics: list[TrajectoryMetricName] = Field(min_length=1, description="columns (our guess)")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist."""
        known_runs(at, self.trajectories, [*(self.runs or []), self.reference], study)
        for name in self.trajectories:
            run = study.trajectories[name].runs[self.reference]
            if run.eps != EXACT or not run.guidance.conditional or 1 not in run.scales:
                raise ValueError(
                    f"configuration key '{at}.reference' has the value '{self.reference}': in trajectories '{name}'"
                    " that must be a run of exact eps under classifier-free guidance with scale 1 among its scales"
                )
        distinct(f"{at}.metrics", self.metrics)

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """(trajectories, reference) and the metrics that it shows of it."""
        for name in self.trajectories:
            yield (name, self.reference), self.metrics

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of every entry and seed, and the trajectories themselves, whose recipes say what runs were."""
        inputs, said = travelled(plan, self.trajectories, self.trained(plan.study.seeds))
        sources = []
        for source in said["sources"]:
            role = source["role"].replace("trajectories/", "measures/")
            inputs[role] = plan.trajectory_measures(source["trajectories"], self.reference, source["seed"])
            sources.append(source | {"role": role})
        return inputs, said | {"sources": sources}

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting.render import framed
        from guidance_study.tables.reporting.trajectories import lines, measured, notes

        rows = measured(job, self.runs, self.metrics)
        return rows, framed(lines(rows, self.metrics)), notes(rows, job, self.metrics)


def known_runs(at: str, names: list[str], runs: list[str], study: "Study") -> None:
    """Every name is an entry of `trajectories`, stands once, and has all these runs."""
    distinct(f"{at}.trajectories", names)
    for i, name in enumerate(names):
        known(f"{at}.trajectories[{i}]", name, study.trajectories)
        for run in runs:
            if run not in study.trajectories[name].runs:
                allowed = ", ".join(study.trajectories[name].runs)
                raise ValueError(
                    f"configuration key '{at}' names the run '{run}' of trajectories '{name}': allowed are {allowed}"
                )


def of_dimension(at: str, dataset: str, dimension: int, study: "Study") -> None:
    """Points of a dataset have this many coordinates."""
    shape = study.datasets[dataset].parts().shape
    if shape != (dimension,):
        raise ValueError(
            f"configuration key '{at}' leads to dataset '{dataset}', whose points have shape {shape}: it must be"
            f" ({dimension},)"
        )


def travelled(plan: "Plan", names: list[str], seeds: list[int]) -> tuple[dict, dict]:
    """Inputs and `sources` over entries of `trajectories`; for words, what parts were made of."""
    inputs, sources = {}, []
    for name in names:
        for seed in seeds:
            role = f"trajectories/{name}/{seed}"
            inputs[role] = plan.trajectories(name, seed)
            inputs[f"dataset/{name}"] = inputs[role].inputs["dataset"]
            sources.append({"role": role, "trajectories": name, "seed": seed})
    used = {name: inputs[f"trajectories/{name}/{sources[0]['seed']}"].inputs for name in names}
    parts = {
        name: {role.removeprefix("part/"): a.params["training"] for role, a in made.items() if role.startswith("part/")}
        for name, made in used.items()
    }
    return inputs, {"sources": sources, "parts": parts}
