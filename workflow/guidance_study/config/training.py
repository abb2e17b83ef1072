"""Noise processes, samplers, solvers, optimisation, and what is trained with them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from guidance_study.config.base import Name, PositiveFloat, PositiveInt, Spec
from guidance_study.config.choices import AnyClassifierNetwork
from guidance_study.config.weights import Weights


class DDPM(Spec):
    """Denoising diffusion (paper, Eqs. 1-3) with linear betas."""

    kind: Literal["ddpm"]
    steps: PositiveInt = Field(1000, description="diffusion steps T (our guess: DDPM's own)")
    beta_start: float = Field(1e-4, gt=0, lt=1, description="first beta (our guess: DDPM's own)")
    beta_end: float = Field(0.02, gt=0, lt=1, description="last beta (our guess: DDPM's own)")
    prediction: Literal["eps", "v"] = Field(
        "eps",
        description="what the network's output means; the loss is Eq. 2's on eps in both cases (our guess)",
    )


class EDM(Spec):
    """EDM's preconditioning and loss (Karras et al. 2022, Tab. 1)."""

    kind: Literal["edm"]
    sigma_data: PositiveFloat = Field(0.5, description="standard deviation of the data (EDM's)")
    p_mean: float = Field(-1.2, description="mean of ln(sigma) in training (EDM's)")
    p_std: PositiveFloat = Field(1.2, description="standard deviation of ln(sigma) in training (EDM's)")


class RectifiedFlow(Spec):
    """Rectified flow from noise to data (Liu et al. 2023), the base of the paper's Tab. S1."""

    kind: Literal["rectified_flow"]


ProcessSpec = Annotated[DDPM | EDM | RectifiedFlow, Field(discriminator="kind")]


class Sampler(Spec):
    """How a DDPM is sampled."""

    kind: Literal["ddim", "ancestral"] = Field("ddim", description="deterministic DDIM or ancestral (our guess)")
    steps: PositiveInt = Field(50, description="sampling steps, one guided evaluation each (our guess)")
    clip: bool = Field(False, description="clip the predicted x_0 to [-1, 1] at every step (our guess)")


class Heun(Spec):
    """How EDM is sampled: Heun's method on the deterministic ODE (Karras et al. 2022, Alg. 1 and Eq. 5)."""

    kind: Literal["heun"]
    steps: PositiveInt = Field(18, description="noise levels; 2 steps - 1 evaluations (EDM's for CIFAR-10)")
    sigma_min: PositiveFloat = Field(0.002, description="lowest noise level above 0 (EDM's)")
    sigma_max: PositiveFloat = Field(80.0, description="highest noise level (EDM's)")
    rho: PositiveFloat = Field(7.0, description="how noise levels crowd towards the low end (EDM's)")


class Dopri5(Spec):
    """How a rectified flow is sampled (paper, Sec. C), with the error norm of `Solver`."""

    kind: Literal["dopri5"]
    rtol: PositiveFloat = Field(1e-5, description="relative tolerance (our guess)")
    atol: PositiveFloat = Field(1e-5, description="absolute tolerance (our guess)")
    block: PositiveInt = Field(500, description="samples solved together, fixed by index (our guess)")


SamplerSpec = Annotated[Sampler | Heun | Dopri5, Field(discriminator="kind")]
SAMPLED_BY = {"ddpm": ("ddim", "ancestral"), "edm": ("heun",), "rectified_flow": ("dopri5",)}  # process -> samplers


class Solver(Spec):
    """Dopri5 for the postprocessing ODE (paper); the error norm is taken per sample, the maximum over the block."""

    rtol: PositiveFloat = Field(1e-5, description="relative tolerance (our guess)")
    atol: PositiveFloat = Field(1e-5, description="absolute tolerance (our guess)")
    block: PositiveInt = Field(500, description="samples solved together, fixed by index (our guess)")


class Training(Spec):
    """One optimisation run."""

    steps: PositiveInt = Field(
        description="optimiser steps (our guess for digits; the paper states its own for other data)"
    )
    batch: PositiveInt = Field(
        description="samples a step (our guess for digits; the paper states its own for other data)"
    )
    optimizer: Literal["adam", "adamw"] = Field("adamw", description="AdamW or Adam (paper)")
    lr: PositiveFloat = Field(description="learning rate (lost in the paper: our guess)")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's decoupled decay (our guess: its default)")
    schedule: Literal["constant", "cosine"] = Field("constant", description="of the learning rate (our guess)")
    warmup: int = Field(0, ge=0, description="steps of linear warm-up (recovered for CIFAR-10: 5000)")
    clip: PositiveFloat | None = Field(None, description="gradient norm clipping (recovered for CIFAR-10: 1.0)")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the network's products in training, by autocast; weights stay float32 (our guess)"
    )
    micro_batch: PositiveInt | None = Field(
        None,
        description="samples a backward pass, their gradients summed, for small cards; null: the batch (our guess)",
    )
    ema: float | None = Field(
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


class Model(Spec):
    """A base model: a denoiser of one dataset under one process."""

    dataset: Name = Field(description="name in `datasets`")
    process: Name = Field(description="name in `processes`")
    network: Name = Field(description="name in `networks`")
    conditional: bool = Field(description="whether the network sees the class, as guidance kinds need it (paper)")
    class_dropout: float = Field(
        0.1, ge=0, lt=1, description="probability of training without the class, if conditional (our guess)"
    )
    flip: bool = Field(False, description="mirror images at random in training (recovered for Tab. S1: true)")
    augment: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability of EDM's augmentations but the mirror (EDM's: 0.12)",
    )
    training: Training | None = Field(None, description="how the base model is trained; null: it is not")
    weights: Weights | None = Field(None, description="pretrained weights in place of training (paper, Tab. 2)")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.training is None) == (self.weights is None):
            raise ValueError("a model needs either 'training' or 'weights', and not both")
        return self


class Classifier(Spec):
    """A classifier: noisy (for guidance, sees x_t and t) where a process is named, else clean."""

    dataset: Name = Field(description="name in `datasets`")
    network: AnyClassifierNetwork = Field(description="its network, written out")
    process: Name | None = Field(None, description="name in `processes` whose noise it sees; null: clean images")
    training: Training = Field(description="how it is trained")
    seed: int | None = Field(
        None,
        ge=0,
        description="a seed of its own, so that it is the same for every training seed (our guess)",
    )


class Postprocessor(Spec):
    """The rectified flow from generations to their neighbours (paper, Eq. 9)."""

    network: Name = Field(description="name in `networks`")
    training: Training = Field(description="how the flow is trained")
    solver: Solver = Field(Solver(), description="how its ODE is solved")
