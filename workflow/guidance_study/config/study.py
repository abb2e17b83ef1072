"""The whole configuration, and the checks that need more than one part of it."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance_study.config.base import Name, PositiveInt, Seed, Spec
from guidance_study.config.choices import AnyDataset, AnyEmbedding, AnyFigure, AnyNetwork, AnyPage, AnyProcess, AnyTable
from guidance_study.config.experiments import Experiment
from guidance_study.config.training import Classifier, Model, Postprocessor
from guidance_study.config.trajectories import TrajectoryRuns


class Execution(Spec):
    """How jobs run, no part of an address: results change by rounding alone."""

    renamed: ClassVar = {"batch": "inference_batch"}

    threads: PositiveInt = Field(1, description="CPU threads of a job (our guess)")
    checkpoint_seconds: float = Field(
        60.0, gt=0, description="seconds between checkpoints of a training run (our guess)"
    )
    environment: Literal["cpu", "cuda"] = Field("cpu", description="envs/<this>.yaml, for --sdm conda (our guess)")
    inference_batch: PositiveInt = Field(2048, description="samples in a batch of inference (our guess)")
    shards: PositiveInt = Field(1, description="jobs that share generating, embedding and postprocessing (our guess)")
    shard_rows: PositiveInt = Field(5000, description="fewest images of a shard (our guess)")
    devices: PositiveInt = Field(
        1,
        description="processes of a training, each with its share of every batch and, where there are any, a GPU of"
        " its own (our guess)",
    )
    gpu_lock: bool = Field(
        True,
        description="jobs of one machine wait for GPUs of their own; false: they share; off under Slurm (our guess)",
    )
    compile: Literal["off", "default", "reduce-overhead", "max-autotune"] = Field(
        "off",
        description="mode of torch.compile in training; reduce-overhead uses CUDA graphs (our guess)",
    )


class Study(Spec):
    """Everything that `snakemake` can build."""

    renamed: ClassVar = {"paths": "trajectories"}

    seeds: list[Seed] = Field(
        min_length=1,
        description="training seeds; everything trained or drawn is repeated for each (our guess: [0])",
    )
    execution: Execution = Field(Execution(), description="how jobs run; changes no result")
    datasets: dict[Name, AnyDataset] = Field(description="data by name")
    networks: dict[Name, AnyNetwork] = Field(description="denoisers and velocity fields by name")
    processes: dict[Name, AnyProcess] = Field(description="noise processes by name")
    models: dict[Name, Model] = Field(description="base models by name")
    classifiers: dict[Name, Classifier] = Field(description="classifiers by name: guides, features, evaluators")
    embeddings: dict[Name, AnyEmbedding] = Field(description="neighbour spaces by name")
    postprocessors: dict[Name, Postprocessor] = Field(description="postprocessing flows by name")
    experiments: dict[Name, Experiment] = Field(description="what is sampled, postprocessed and measured, by name")
    trajectories: dict[Name, TrajectoryRuns] = Field(
        {}, description="trajectories on data with a known mixture, by name"
    )
    tables: dict[Name, AnyTable] = Field(description="tables by name; the name is a target of `snakemake`")
    figures: dict[Name, AnyFigure] = Field(description="figures by name; the name is a target of `snakemake`")
    pages: dict[Name, AnyPage] = Field({}, description="pages by name; the name is a target of `snakemake`")
    all: list[Name] = Field(min_length=1, description="tables, figures and pages that a plain `snakemake` builds")

    @property
    def targets(self) -> dict[str, Any]:
        """Tables, figures and pages by name."""
        return {**self.tables, **self.figures, **self.pages}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        from guidance_study.config.checks import check

        check(self)
        return self
