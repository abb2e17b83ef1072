"""Trajectories of several runs from the same noises, each run made of learned or of exact parts."""

from pydantic import Field

from guidance_study.config.base import Name, PositiveInt, Scales, Spec
from guidance_study.config.choices import AnyGuidance, AnySampler
from guidance_study.config.seams import kinds

EXACT = "exact"  # in the place of a model, a classifier or an evaluator: the closed form of the dataset's mixture


class Run(Spec):
    """One way to generate: a denoiser, a guidance rule (and in it a classifier), scales."""

    eps: Name = Field(description="a name in `parts`, or 'exact': the mixture's own eps")
    guidance: AnyGuidance = Field(description="the rule; its classifier is a name in `parts`, or 'exact'")
    scales: Scales = Field(description="guidance scales (paper: 1 among them; the others are our guess)")
    steps: PositiveInt | None = Field(None, description="sampling steps; null: the sampler's (our guess)")


class TrajectoryRuns(Spec):
    """A dataset with a known mixture, the learned parts by role, and the runs. All start from the same noises."""

    dataset: Name = Field(description="name in `datasets`, one with a known mixture")
    process: Name = Field(description="name in `processes`: the one that all parts were trained on")
    parts: dict[Name, Name] = Field({}, description="role -> name in `models` or `classifiers`")
    sampler: AnySampler = Field(
        kinds("processes.samplers")["ddim"].model_validate(
            {"kind": "ddim"}
        ),  # not by `parse`: that a job runs it is not said
        description="how runs are sampled; its steps are the recorded times",
    )
    n: PositiveInt = Field(1000, description="trajectories of a run, classes in turn (our guess)")
    runs: dict[Name, Run] = Field(min_length=1, description="runs by name")
