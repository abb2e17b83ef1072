"""The whole configuration, and the checks that need more than one part of it."""

from pydantic import Field, model_validator

from guidance_study.config.base import Name, PositiveInt, Spec
from guidance_study.config.experiments import Experiment, Table
from guidance_study.config.networks import NetworkSpec
from guidance_study.config.seams import choice
from guidance_study.config.training import DDPM, Classifier, Model, Postprocessor


class Execution(Spec):
    """How jobs run. Nothing here can change a result beyond rounding, so nothing here is part of an address."""

    threads: PositiveInt = Field(1, description="CPU threads of a job that computes (our guess)")
    checkpoint_seconds: float = Field(60.0, gt=0, description="seconds between checkpoints of a training run")
    batch: PositiveInt = Field(2048, description="samples an inference batch of a fixed-step sampler or embedding")


class Study(Spec):
    """Everything that `snakemake` can build."""

    seeds: list[int] = Field(
        min_length=1,
        description="training seeds; everything trained or drawn is repeated for each (our guess: [0])",
    )
    execution: Execution = Execution()
    datasets: dict[Name, choice("datasets")]
    networks: dict[Name, NetworkSpec]
    processes: dict[Name, DDPM]
    models: dict[Name, Model]
    classifiers: dict[Name, Classifier]
    embeddings: dict[Name, choice("embeddings")]
    postprocessors: dict[Name, Postprocessor]
    experiments: dict[Name, Experiment]
    tables: dict[Name, Table]
    figures: dict[Name, choice("figures")]
    all: list[Name] = Field(min_length=1, description="tables and figures that a plain `snakemake` builds")

    @model_validator(mode="after")
    def _consistent(self):
        from guidance_study.config.checks import check

        check(self)
        return self
