"""Questions: what is compared with what, of whom; shared by tables of contrasts and by pages. Declares no table."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import Name, PositiveFloat, Scales, Spec, Title
from guidance_study.config.experiments import EVALUATOR, Experiment
from guidance_study.config.sentences import known
from guidance_study.metrics import metrics_of
from guidance_study.support.text import shown

if TYPE_CHECKING:
    from guidance_study.config.study import Study

OF_ARMS = ("real_after", "after", "retrieval", "targets")  # states that an arm makes
OF_WAYS = ("retrieval", "targets")  # and those that a control's arm does not have
REAL = ("real", "real_after")  # states of real data: as held-out images, they are compared with training ones alone


class Side(Spec):
    """What is measured on one side of a contrast: a state of the samples, or a run of trajectories, at some scales."""

    state: Literal["real", "real_after", "before", "redraw", "after", "retrieval", "targets"] | None = Field(
        None, description="null: after where an arm is named, else before (our guess)"
    )
    of: Name | None = Field(None, description="another experiment, or entry of `trajectories`, than the contrast's own")
    arm: str | None = Field(None, description="arm name, for instance features_k20")
    run: Name | None = Field(None, description="a run, of an entry of `trajectories`")
    scales: Scales | None = Field(None, description="guidance scales, averaged; null: every evaluated one")
    metric: str | None = Field(None, description="another metric than the contrast's own")

    @model_validator(mode="after")
    def _one_kind(self):
        if self.run is not None and (self.state or self.arm):
            raise ValueError(f"the run '{self.run}' has neither a state nor an arm")
        if (self.means in OF_ARMS) != (self.arm is not None):
            raise ValueError(f"state {self.means} {'needs an arm' if self.arm is None else 'is of no arm'}")
        return self

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
        None,
        description="real images that are compared with; null: held-out ones, or training ones where a side is itself"
        " of held-out ones (our guess)",
    )
    reference_run: Name = Field("exact", description="run of trajectories that metrics compare with, at scale 1")
    left: Side = Field(description="one side")
    right: Side | None = Field(None, description="the other side; null: the left one by itself")
    beside: list[Side] = Field(
        [], max_length=2, description="as many sides, of a control whose value is taken away (our guess: none)"
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
        if self.expects == "equal" and self.threshold:
            raise ValueError(f"threshold has the value {self.threshold:g}: where 'expects' is equal, 'within' says it")
        if self.value == "log_ratio" and self.right is None:
            raise ValueError("a log_ratio needs a right side")
        if self.beside and len(self.beside) != 1 + (self.right is not None):
            raise ValueError("'beside' needs as many sides as stand before it: left and right, or left alone")
        return self

    @property
    def sides(self) -> list[Side]:
        """All that it looks at."""
        return [self.left, *([self.right] if self.right else []), *self.beside]

    @property
    def subjects(self) -> set[str]:
        """Names of the experiments and trajectories that it looks at."""
        return {side.of or self.of for side in self.sides}


def fits(at: str, contrast: Contrast, study: "Study") -> None:
    """Raise ValueError, one sentence, where a question looks for what is not there or not measured."""
    for side in contrast.sides:
        of = side.of or contrast.of
        known(f"{at}.of", of, [*study.experiments, *study.trajectories])
        if of in study.experiments:
            _fits_experiment(at, contrast, side, of, study.experiments[of])
        else:
            _fits_runs(at, contrast, side, of, study)


def asks(contrast: Contrast, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
    """What a question looks at of each experiment and scale, or of trajectories, and the metrics."""
    for side in contrast.sides:
        of, metrics = side.of or contrast.of, [side.metric or contrast.metric]
        if of in study.trajectories:
            yield (of, contrast.reference_run), metrics
        elif study.experiments[of].exact:
            yield (of, None), metrics
        else:
            yield from (((of, scale), metrics) for scale in side.scales or study.experiments[of].evaluation.scales)


def _fits_runs(at: str, contrast: Contrast, side: Side, of: str, study: "Study") -> None:
    runs = study.trajectories[of].runs
    known(f"{at}.reference_run", contrast.reference_run, runs)
    for key in ("space", "reference"):
        known(f"{at}.{key}", getattr(contrast, key), [None])
    known(f"{at} (metric)", side.metric or contrast.metric, list(metrics_of("trajectories")))
    known(f"{at} (run)", side.run, runs)
    for scale in side.scales or []:
        known(f"{at} (scales)", scale, runs[str(side.run)].scales)


def _fits_experiment(at: str, contrast: Contrast, side: Side, of: str, experiment: Experiment) -> None:
    metrics = metrics_of("points" if experiment.exact else "images")
    judges = [EVALUATOR, *experiment.judges] if experiment.evaluator else list(experiment.judges)
    arms = {arm.name: arm for arm in experiment.arms}
    if side.run is not None:
        raise ValueError(f"configuration key '{at}' names the run '{side.run}', but '{of}' has arms")
    name = side.metric or contrast.metric
    known(f"{at} (metric)", name, list(metrics))
    known(f"{at} (state, of metric {name})", side.means, [state for state in metrics[name].states if state])
    if side.arm is not None:
        known(f"{at} (arm)", side.arm, [n for n, a in arms.items() if side.means not in OF_WAYS or not a.control])
        if side.means == "real_after" and arms[side.arm].moves is not None:
            raise ValueError(f"configuration key '{at}' has arm '{side.arm}', which moves no real data")
    for scale in side.scales or []:
        known(f"{at} (scales)", scale, experiment.evaluation.scales)
    if side.means == "real_after" and not experiment.evaluation.real:
        raise ValueError(
            f"configuration key 'experiments.{of}.evaluation.real' has the value False: '{at}' asks for real data after"
            " a flow"
        )
    seen = [] if experiment.exact else metrics[name].seen_in(name, judges, experiment.evaluation.spaces)
    known(f"{at}.space (of metric {name})", contrast.space, [None, *seen])
    if not metrics[name].references:
        known(f"{at}.reference (metric {name} compares with no part)", contrast.reference, [None])
    elif contrast.reference == "held_out" and side.means in REAL:
        raise ValueError(
            f"configuration key '{at}.reference' has the value 'held_out': state {side.means} is of held-out images"
            " itself, and is compared with training ones"
        )
