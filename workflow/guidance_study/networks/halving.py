"""What UNets share in the plan: their fields, and levels each of half the height and width of the one before."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from guidance_study.config.base import Depth, PositiveInt, Spec


def check_halves(shape: tuple[int, ...], levels: int, patch: int = 1) -> None:
    """ValueError unless samples are images whose sides, in patches of so many pixels, halve from level to level."""
    factor = patch * 2 ** (levels - 1)
    if len(shape) != 3 or shape[1] % factor or shape[2] % factor:
        patches = f" and patches of {patch} pixels" if patch > 1 else ""
        raise ValueError(f"a UNet of {levels} levels{patches} needs images with sides in multiples of {factor}")


def unet_operations(shape: tuple[int, ...], widths: list[int], blocks: int) -> float:
    """Floating-point operations for one image, of two 3 x 3 convolutions a block, twice as wide going up.

    widths: channels of each level; blocks: of a level, going down.
    """
    pixels = [(shape[1] >> level) * (shape[2] >> level) for level in range(len(widths))]
    places = sum(size * width**2 for size, width in zip(pixels, widths, strict=True))
    return 2.0 * 1.5 * (2 * blocks + 1) * 2 * 9 * places


def _heads(channels: int) -> int:
    if channels == 0 or channels < -1:
        raise ValueError(f"has the value {channels}: it must be -1, or 1 or more")
    return channels


class UNetFields(Spec):
    """What guided-diffusion's UNet and the encoder half of it, its noisy classifier, are built with."""

    model_channels: PositiveInt = Field(128, description="channels of the first level (the paper's UNet)")
    num_res_blocks: Depth = Field(2, description="residual blocks a level (the paper's UNet)")
    attention_resolutions: list[PositiveInt] = Field(
        [], description="downsampling factors at which to attend (the paper's UNet)"
    )
    channel_mult: list[PositiveInt] = Field(
        [1, 2], min_length=1, max_length=12, description="channel multiple of each level (the paper's UNet)"
    )
    num_heads: Depth = Field(1, description="attention heads where num_head_channels is -1 (the paper's UNet)")
    num_head_channels: Annotated[int, AfterValidator(_heads)] = Field(
        -1, description="channels of a head; -1: use num_heads (the paper's UNet)"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability (the paper's UNet on CIFAR-10: 0.1)")
    norm_groups: Depth | None = Field(
        None,
        description="groups of a normalisation; null: 32, but never fewer than 4 channels a group (guided-diffusion's:"
        " 32)",
    )
    use_new_attention_order: bool = Field(
        False,
        description="channels of q, k and v side by side, each head by head, and not head by head; no shape tells which"
        " (guided-diffusion's default; its diffusion model of 64 pixels has true)",
    )
    use_scale_shift_norm: bool = Field(False, description="FiLM conditioning (guided-diffusion's default)")
    resblock_updown: bool = Field(
        False, description="halve and double in residual blocks, not by convolutions (guided-diffusion's default)"
    )

    @property
    def widths(self) -> list[int]:
        """Channels of each level."""
        return [multiple * self.model_channels for multiple in self.channel_mult]

    @model_validator(mode="after")
    def _heads_divide(self):
        for channels in self.widths:
            if channels % (self.num_heads if self.num_head_channels == -1 else self.num_head_channels):
                raise ValueError(
                    f"{channels} channels at a level must divide evenly among num_heads {self.num_heads} or"
                    f" num_head_channels {self.num_head_channels}"
                )
        return self

    @model_validator(mode="after")
    def _groups_divide(self):
        for channels in [self.model_channels, *self.widths] if self.norm_groups else []:
            if channels % self.norm_groups:
                raise ValueError(f"norm_groups has the value {self.norm_groups}: it must divide {channels} channels")
        return self
