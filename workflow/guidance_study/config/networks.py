"""Networks: denoisers and velocity fields, and classifiers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from guidance_study.config.base import PositiveFloat, PositiveInt, Spec


def _heads(channels: int) -> int:
    if channels == 0 or channels < -1:
        raise ValueError(f"has the value {channels}: it must be -1, or 1 or more")
    return channels


class ResidualMLP(Spec):
    """Residual MLP on the flattened sample with time and class embedding (paper, Fig. S4, lost: our guess)."""

    kind: Literal["residual_mlp"]
    width: PositiveInt = Field(256, description="units of a hidden layer (our guess)")
    blocks: PositiveInt = Field(4, description="residual blocks (our guess)")
    fourier: int = Field(0, ge=0, description="random Fourier features of the input; 0: none (our guess)")
    fourier_sigma: PositiveFloat = Field(1.0, description="standard deviation of their frequencies (our guess)")
    zero_init: bool = Field(False, description="start with a last layer of zeros (our guess)")


class UNet(Spec):
    """The UNet of guided-diffusion, its names and shapes (paper, Sec. D.5.2 and D.6.1)."""

    kind: Literal["unet"]
    model_channels: PositiveInt = Field(128, description="channels of the first level (paper)")
    num_res_blocks: PositiveInt = Field(2, description="residual blocks a level (paper)")
    attention_resolutions: list[PositiveInt] = Field([], description="downsampling factors at which to attend (paper)")
    channel_mult: list[PositiveInt] = Field([1, 2], min_length=1, description="channel multiple of each level (paper)")
    num_heads: PositiveInt = Field(1, description="attention heads where num_head_channels is -1 (paper)")
    num_head_channels: Annotated[int, AfterValidator(_heads)] = Field(
        -1, description="channels of a head; -1: use num_heads (paper)"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability (paper: 0.1 on CIFAR-10)")
    use_scale_shift_norm: bool = Field(False, description="FiLM conditioning (guided-diffusion's default)")


class SongUNet(Spec):
    """EDM's DDPM++ network, its names and shapes (Karras et al. 2022; paper, Tab. 2)."""

    kind: Literal["song_unet"]
    model_channels: PositiveInt = Field(128, description="channels at multiple 1 (EDM's)")
    channel_mult: list[PositiveInt] = Field(
        [2, 2, 2], min_length=1, description="channel multiple of each level (EDM's)"
    )
    num_blocks: PositiveInt = Field(4, description="residual blocks a level (EDM's)")
    attn_resolutions: list[PositiveInt] = Field([16], description="image sides at which to attend (EDM's)")
    dropout: float = Field(0.13, ge=0, lt=1, description="dropout probability (EDM's for CIFAR-10)")
    augment_dim: Literal[0, 9] = Field(9, description="inputs that tell of augmentations; 0: none (EDM's: 9)")


NetworkSpec = Annotated[ResidualMLP | UNet | SongUNet, Field(discriminator="kind")]


class Linear(Spec):
    """One linear layer on the flattened noisy image and the diffusion step (paper, Sec. D.3.1 and D.5.2)."""

    kind: Literal["linear"]


class MLP(Spec):
    """Multilayer perceptron; with time embedding when it sees noisy data (paper, Sec. D.3.1; sizes our guess)."""

    kind: Literal["mlp"]
    width: PositiveInt = Field(128, description="units of a hidden layer, and of the features (our guess)")
    layers: PositiveInt = Field(2, description="hidden layers (our guess)")


class CNN(Spec):
    """Small convolutional network for images (our guess; the paper only says 'almost perfect')."""

    kind: Literal["cnn"]
    channels: PositiveInt = Field(32, description="channels of the first convolution (our guess)")
    features: PositiveInt = Field(64, description="units of the penultimate layer (our guess)")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability (our guess)")


ClassifierNetworkSpec = Annotated[Linear | MLP | CNN, Field(discriminator="kind")]
