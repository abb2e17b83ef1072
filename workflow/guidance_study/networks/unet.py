"""The UNet of guided-diffusion (Dhariwal & Nichol 2021)."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from guidance_study.config.base import Depth, PositiveInt
from guidance_study.networks import Network
from guidance_study.networks.halving import check_halves, unet_operations

if TYPE_CHECKING:
    from torch import nn


def _heads(channels: int) -> int:
    if channels == 0 or channels < -1:
        raise ValueError(f"has the value {channels}: it must be -1, or 1 or more")
    return channels


class UNet(Network):
    """The UNet of guided-diffusion, its names and shapes (paper, Sec. D.5.2 and D.6.1)."""

    kind: Literal["unet"]
    model_channels: PositiveInt = Field(128, description="channels of the first level (paper)")
    num_res_blocks: Depth = Field(2, description="residual blocks a level (paper)")
    attention_resolutions: list[PositiveInt] = Field([], description="downsampling factors at which to attend (paper)")
    channel_mult: list[PositiveInt] = Field(
        [1, 2], min_length=1, max_length=12, description="channel multiple of each level (paper)"
    )
    num_heads: Depth = Field(1, description="attention heads where num_head_channels is -1 (paper)")
    num_head_channels: Annotated[int, AfterValidator(_heads)] = Field(
        -1, description="channels of a head; -1: use num_heads (paper)"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability (paper: 0.1 on CIFAR-10)")
    norm_groups: Depth | None = Field(
        None,
        description="groups of a normalisation; null: 32, but never fewer than 4 channels a group (guided-diffusion's:"
        " 32)",
    )
    use_new_attention_order: bool = Field(
        False,
        description="channels of q, k and v side by side, each head by head, and not head by head; no shape tells which"
        " (guided-diffusion's default; its models of 64 pixels have true)",
    )
    use_scale_shift_norm: bool = Field(False, description="FiLM conditioning (guided-diffusion's default)")
    patch: PositiveInt = Field(
        1, description="side of the squares of pixels that enter as channels of one; 2 costs a quarter (paper: 1)"
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

    def check(self, shape: tuple[int, ...]) -> None:
        check_halves(shape, len(self.channel_mult), self.patch)

    def build(self, shape: tuple[int, ...], rows: int) -> "nn.Module":
        from guidance_study.networks.modules.unet import UNetModel

        return UNetModel(shape, rows, **self.options())

    def operations(self, shape: tuple[int, ...]) -> float:
        return unet_operations(shape, self.widths, self.num_res_blocks) / self.patch**2
