"""Solvers, optimisation, and what is trained with them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance_study.config.base import Name, PositiveFloat, PositiveInt, Seed, Spec
from guidance_study.config.choices import AnyClassifierNetwork
from guidance_study.config.weights import Weights


class Solver(Spec):
    """Dopri5 for the postprocessing ODE (paper); the error norm is taken per sample, the maximum over the block."""

    rtol: PositiveFloat = Field(1e-5, description="relative tolerance (our guess)")
    atol: PositiveFloat = Field(1e-5, description="absolute tolerance (our guess)")
    block: PositiveInt = Field(500, description="samples solved together, fixed by index (our guess)")


class Training(Spec):
    """One optimisation run."""

    renamed: ClassVar = {"batch": "batch_size", "schedule": "lr_schedule", "clip": "grad_clip", "ema": "ema_decay"}

    steps: PositiveInt = Field(
        description="optimiser steps (our guess for digits; the paper states its own for other data)"
    )
    batch_size: PositiveInt = Field(
        description="samples a step (our guess for digits; the paper states its own for other data)"
    )
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="AdamW or Adam (paper)")
    lr: PositiveFloat = Field(description="learning rate (lost in the paper: our guess)")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decoupled decay (our guess: its default)")
    lr_schedule: Literal["constant", "cosine"] = Field("constant", description="of the learning rate (our guess)")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up (recovered for CIFAR-10: 5000)")
    grad_clip: PositiveFloat | None = Field(None, description="gradient norm clipping (recovered for CIFAR-10: 1.0)")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the network's products in training, by autocast; weights stay float32 (our guess)"
    )
    micro_batch: PositiveInt | None = Field(
        None,
        description="samples a backward pass, their gradients summed, for small cards; null: the batch (our guess)",
    )
    ema_decay: float | None = Field(
        0.999,
        ge=0,
        lt=1,
        description="decay of the weight average after step s, at most (1 + s) / (10 + s) (paper: 0.9999); null: none",
    )

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup >= self.steps:
            raise ValueError(f"warmup {self.warmup} must be below steps {self.steps}")
        return self


def one_source(what: str, training: Training | None, weights: Weights | None) -> None:
    """ValueError unless a part is trained, or has weights from outside, and not both."""
    if (training is None) == (weights is None):
        raise ValueError(f"a {what} needs either 'training' or 'weights', and not both")


class Model(Spec):
    """A base model: a denoiser of one dataset under one process."""

    dataset: Name = Field(description="name in `datasets`")
    process: Name = Field(description="name in `processes`")
    network: Name = Field(description="name in `networks`")
    conditional: bool = Field(description="whether the network sees the class, as guidance kinds need it (paper)")
    class_dropout: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="probability of training without the class, if conditional; null: 0.1 (our guess), of weights from"
        " outside unknown, so that they are not guided without a classifier",
    )
    flip: bool = Field(False, description="mirror images at random in training (recovered for Tab. S1: true)")
    augment: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability of EDM's augmentations but the mirror (EDM's: 0.12)",
    )
    training: Training | None = Field(None, description="how the base model is trained; null: it is not")
    replica: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="which of several trainings of the same: weights and batches are drawn anew (our guess)"
    )
    weights: Weights | None = Field(None, description="pretrained weights in place of training (paper, Tab. 2)")

    @property
    def dropout(self) -> float:
        """The probability of training without the class; 0 where nobody said that weights from outside had one."""
        usual = 0.1 if self.training else 0.0
        return usual if self.class_dropout is None else self.class_dropout

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        one_source("model", self.training, self.weights)
        return self


class Classifier(Spec):
    """A classifier: noisy (for guidance, sees x_t and t) where a process is named, else clean."""

    dataset: Name = Field(description="name in `datasets`")
    network: AnyClassifierNetwork = Field(description="its network, written out")
    process: Name | None = Field(None, description="name in `processes` whose noise it sees; null: clean images")
    training: Training | None = Field(None, description="how it is trained; null: it is not")
    weights: Weights | None = Field(None, description="pretrained weights in place of training (guided-diffusion's)")
    part: Literal["train", "judge"] = Field(
        "train",
        description="the part of the dataset that it learns from: that of the models, or the one set apart for judges"
        " (our guess)",
    )
    seed: Seed | None = Field(
        None,
        description="a seed of its own, for its weights and batches; null: the training seed (our guess)",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        one_source("classifier", self.training, self.weights)
        if self.weights is not None and (self.seed is not None or self.part != "train"):
            raise ValueError(
                "a classifier with weights from outside takes neither 'seed' nor 'part': it is not trained"
            )
        return self


class Postprocessor(Spec):
    """The rectified flow from generations to their neighbours (paper, Eq. 9)."""

    network: Name = Field(description="name in `networks`")
    training: Training = Field(description="how the flow is trained")
    solver: Solver = Field(Solver(), description="how its ODE is solved")
