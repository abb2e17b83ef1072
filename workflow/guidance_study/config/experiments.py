"""Experiments and tables: what is sampled, postprocessed, measured and shown. Figures: see figures/."""

from typing import Literal

from pydantic import Field, model_validator

from guidance_study.config.base import Name, PositiveInt, Scales, Spec
from guidance_study.config.seams import choice
from guidance_study.config.training import Sampler


class Pool(Spec):
    """Generations on which postprocessors are trained."""

    scales: Scales = Field(description="guidance scales, an equal share of the pool each (paper: 1, 2, 3)")
    n: PositiveInt = Field(description="generations in all (paper: 50000 on CIFAR-10)")


class Evaluation(Spec):
    """Generations on which everything is measured; none of them is ever trained on."""

    scales: Scales = Field(description="guidance scales (paper: 2.25, 2.50, 2.75, unseen in training)")
    blocks: PositiveInt = Field(3, description="disjoint blocks, measured apart (our guess: 3)")
    block_size: int = Field(ge=10, description="generations a block (paper: 50000 on CIFAR-10)")
    manifold_k: int = Field(
        5, ge=1, le=9, description="neighbour whose distance is a ball's radius, for precision to coverage (our guess)"
    )
    copy_quantile: float = Field(
        0.01, gt=0, lt=1, description="near copies: closer than this share of real images is to another (our guess)"
    )


class Arm(Spec):
    """One way of postprocessing: a neighbour space, k, and what the flow was trained on."""

    space: Name = Field(description="name in `embeddings`: where neighbours are sought (paper, Tab. S1)")
    k: PositiveInt = Field(20, description="nearest neighbours to draw targets from (paper: 20 and 40 on CIFAR-10)")
    postprocessor: Name = Field(description="name in `postprocessors`")
    train_on: Literal["pool", "own_scale"] = Field(
        "pool",
        description="one flow for all scales of the pool, or one per scale on as many samples (paper, Sec. B)",
    )

    @property
    def name(self) -> str:
        """How tables, figures and addresses call this arm."""
        return f"{self.space}_k{self.k}" + ("_own" if self.train_on == "own_scale" else "")


class Experiment(Spec):
    """A guided base model, its postprocessing arms, and how they are evaluated."""

    model: Name = Field(description="name in `models`")
    guidance: choice("guidance") = Field(description="the guidance rule")
    sampler: Sampler = Field(description="how the base model is sampled")
    pool: Pool = Field(description="generations that postprocessors learn from")
    evaluation: Evaluation = Field(description="generations that are measured")
    arms: list[Arm] = Field(description="postprocessing arms; may be empty")
    evaluator: Name = Field(description="name in `classifiers`: a clean one that feeds no neighbour space")

    @model_validator(mode="after")
    def _arms_differ(self):
        names = [arm.name for arm in self.arms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two arms are called '{name}'; space, k and train_on must tell them apart")
        return self


class Table(Spec):
    """A table over experiments: rows are guidance and arm, columns are scales."""

    title: str = Field(description="one line above the table")
    experiments: list[Name] = Field(min_length=1, description="names in `experiments`")
    scales: Scales | None = Field(None, description="columns; null: every evaluated scale")
    arms: list[str] | None = Field(None, description="arm names, for instance features_k20; null: all")
    metrics: list[Literal["frechet", "accuracy", "precision", "recall", "density", "coverage", "near_copies"]] = Field(
        ["frechet"], min_length=1, description="what is tabulated (paper: FID; the others are our guess)"
    )
    references: list[Literal["train", "held_out"]] = Field(
        ["train", "held_out"], min_length=1, description="real images to compare with (our guess)"
    )
    controls: bool = Field(True, description="a retrieval row beside every postprocessing row (our guess)")
