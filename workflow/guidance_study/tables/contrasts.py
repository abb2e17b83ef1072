"""Questions in words, each answered by a difference of what is measured, one number a training seed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import Depth, Name, PositiveFloat, Scales, Spec, Title
from guidance_study.config.sentences import known
from guidance_study.metrics import metrics_of
from guidance_study.support.text import shown
from guidance_study.tables import Table

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

STATES = ("real", "real_after", "before", "after", "retrieval", "targets")
OF_ARMS = ("real_after", "after", "retrieval", "targets")  # states that an arm makes


class Side(Spec):
    """What is measured on one side of a contrast: a state of the samples, or a run of trajectories, at some scales."""

    state: Literal["real", "real_after", "before", "after", "retrieval", "targets"] | None = Field(
        None, description="null: after where an arm is named, else before (our guess)"
    )
    arm: str | None = Field(None, description="arm name, for instance features_k20")
    run: Name | None = Field(None, description="a run, of an entry of `trajectories`")
    scales: Scales | None = Field(None, description="guidance scales, averaged; null: every evaluated one")
    metric: str | None = Field(None, description="another metric than the contrast's own")

    @property
    def means(self) -> str | None:
        """The state of the rows; null for trajectories."""
        if self.run is not None:
            return None
        return self.state or ("after" if self.arm else "before")

    @property
    def words(self) -> str:
        """What it is, for readers."""
        at = "" if self.scales is None else f" at {', '.join(map(shown, self.scales))}"
        said = self.run or " ".join(filter(None, [self.means, self.arm])).replace("_", " ")
        return said.replace("_", " ") + at + (f", {self.metric}" if self.metric else "")


class Contrast(Spec):
    """Left less right, or what is left alone, of every training seed; and what the paper leads one to expect."""

    question: Title = Field(description="asked in words; the answer is yes where what is expected holds")
    of: Name = Field(description="name in `experiments` or `trajectories`")
    metric: str = Field(description="a metric's column")
    space: str | None = Field(None, description="evaluator, a judge or a pretrained space; null: the first, or none")
    reference: Literal["train", "held_out"] | None = Field(
        None, description="real images that are compared with; null: held-out ones, where any are (our guess)"
    )
    left: Side = Field(description="one side")
    right: Side | None = Field(None, description="the other side; null: the left one by itself")
    beside: list[Side] = Field(
        [], max_length=2, description="left and right of a control whose difference is taken away (our guess: none)"
    )
    value: Literal["difference", "log_ratio"] = Field(
        "difference", description="left less right, or the logarithm of their ratio (our guess)"
    )
    expects: Literal["above", "below", "equal"] = Field(description="of the value, beside the threshold (paper)")
    threshold: float = Field(0.0, description="that it is to be above or below (our guess)")
    within: PositiveFloat | None = Field(None, description="how near to 0 counts as equal (our guess)")

    @model_validator(mode="after")
    def _fits(self):
        if (self.expects == "equal") != (self.within is not None):
            raise ValueError("'within' says how near to 0 counts as equal, where 'expects' is equal and nowhere else")
        if self.value == "log_ratio" and self.right is None:
            raise ValueError("a log_ratio needs a right side")
        return self

    @property
    def sides(self) -> list[Side]:
        """All that it looks at."""
        return [self.left, *([self.right] if self.right else []), *self.beside]


class ContrastsTable(Table):
    """A row for each question: what was compared, mean and t interval over training seeds, Holm's p, the answer."""

    kind: Literal["contrasts"]
    contrasts: list[Contrast] = Field(min_length=1, description="the questions")
    family: Depth | None = Field(
        None, description="tests that Holm's correction counts; null: those of this table (our guess)"
    )
    reference_run: Name = Field("exact", description="run of trajectories that metrics compare with")

    def check(self, at: str, study: "Study") -> None:
        """Every name exists where it is looked for."""
        for i, contrast in enumerate(self.contrasts):
            here = f"{at}.contrasts[{i}]"
            known(f"{here}.of", contrast.of, [*study.experiments, *study.trajectories])
            (self._of_experiment if contrast.of in study.experiments else self._of_runs)(here, contrast, study)

    def _of_experiment(self, at: str, contrast: Contrast, study: "Study") -> None:
        experiment = study.experiments[contrast.of]
        known(f"{at}.metric", contrast.metric, list(metrics_of("points" if experiment.exact else "images")))
        judging = ["evaluator"] if experiment.evaluator else []
        spaces = [*judging, *experiment.judges, *experiment.evaluation.spaces]
        if contrast.space is not None:
            known(f"{at}.space", contrast.space, [] if experiment.exact else spaces)
        for side in contrast.sides:
            if side.run is not None:
                raise ValueError(f"configuration key '{at}' names the run '{side.run}', but '{contrast.of}' has arms")
            if side.means in OF_ARMS:
                known(f"{at} (arm)", side.arm, [arm.name for arm in experiment.arms])
            for scale in side.scales or []:
                known(f"{at} (scales)", scale, experiment.evaluation.scales)
            if side.means == "real_after" and not experiment.evaluation.real:
                raise ValueError(
                    f"configuration key 'experiments.{contrast.of}.evaluation.real' has the value False:"
                    f" '{at}' asks for real data after a flow"
                )

    def _of_runs(self, at: str, contrast: Contrast, study: "Study") -> None:
        runs = study.trajectories[contrast.of].runs
        known(f"{at}.metric", contrast.metric, list(metrics_of("trajectories")))
        known("reference_run", self.reference_run, runs)
        for side in contrast.sides:
            known(f"{at} (run)", side.run, runs)
            for scale in side.scales or []:
                known(f"{at} (scales)", scale, runs[str(side.run)].scales)

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """What it looks at of each experiment and scale, or of trajectories."""
        for contrast in self.contrasts:
            metrics = [contrast.metric, *(side.metric for side in contrast.sides if side.metric)]
            for key in self._keys(contrast, study):
                yield key, metrics

    def _keys(self, contrast: Contrast, study: "Study") -> list[tuple]:
        if contrast.of in study.trajectories:
            return [(contrast.of, self.reference_run)]
        experiment = study.experiments[contrast.of]
        if experiment.exact:
            return [(contrast.of, None)]
        asked = [side.scales or experiment.evaluation.scales for side in contrast.sides]
        return [(contrast.of, scale) for scale in dict.fromkeys(s for scales in asked for s in scales)]

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of everything that is asked for, of every seed."""
        inputs, sources = {}, []
        for name, at in dict.fromkeys(key for key, _ in self.asks(plan.study)):
            for seed in plan.study.seeds:
                role = f"{name}/{shown(at) if isinstance(at, float | int) else at}/{seed}"
                if name in plan.study.trajectories:
                    inputs[role] = plan.trajectory_measures(name, str(at), seed)
                else:
                    inputs[role] = plan.measures(name, at, seed)
                sources.append({"role": role, "of": name, "seed": seed})
        return inputs, {"sources": sources}

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting import collect
        from guidance_study.tables.reporting.contrasts import answered, lines, notes
        from guidance_study.tables.reporting.render import framed

        rows, _ = collect(job, None)
        found = answered(rows, self.contrasts, self.family)
        return found, framed(lines(found)), notes(found, self)
