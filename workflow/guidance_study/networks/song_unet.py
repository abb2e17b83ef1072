"""EDM's network for CIFAR-10 (Song et al. 2021; Karras et al. 2022)."""

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import Depth, PositiveInt
from guidance_study.networks import Network
from guidance_study.networks.halving import check_halves, unet_operations

if TYPE_CHECKING:
    from torch import Tensor, nn


class SongUNet(Network):
    """EDM's DDPM++ network, its names and shapes (Karras et al. 2022; paper, Tab. 2)."""

    null_row: ClassVar[bool] = True
    kind: Literal["song_unet"]
    model_channels: PositiveInt = Field(128, description="channels at multiple 1 (EDM's)")
    channel_mult: list[PositiveInt] = Field(
        [2, 2, 2], min_length=1, max_length=12, description="channel multiple of each level (EDM's)"
    )
    num_blocks: Depth = Field(4, description="residual blocks a level (EDM's)")
    attn_resolutions: list[PositiveInt] = Field([16], description="image sides at which to attend (EDM's)")
    dropout: float = Field(0.13, ge=0, lt=1, description="dropout probability (EDM's for CIFAR-10)")
    augment_dim: Literal[0, 9] = Field(9, description="inputs that tell of augmentations; 0: none (EDM's: 9)")

    @property
    def hears_augmentation(self) -> bool:
        """Whether `augment` (N, 9) tells it what was done to the image."""
        return self.augment_dim > 0

    @model_validator(mode="after")
    def _embeds(self):
        if self.model_channels % 4:
            raise ValueError(f"model_channels has the value {self.model_channels}: it must be a multiple of 4")
        return self

    def check(self, shape: tuple[int, ...]) -> None:
        check_halves(shape, len(self.channel_mult))
        if shape[1] != shape[2]:
            raise ValueError("a SongUNet needs square images")
        widths = [self.model_channels, *(multiple * self.model_channels for multiple in self.channel_mult)]
        for width in {a + b for a, b in pairwise(widths)} | {n * width for width in widths for n in (1, 2)}:
            if width % min(32, width // 4):
                raise ValueError(f"it has blocks of {width} channels, which min(32, channels / 4) groups must divide")

    def build(self, shape: tuple[int, ...], rows: int) -> "nn.Module":
        from guidance_study.networks.modules.song_unet import SongUNet as Module

        return Module(shape, rows, **self.options())

    def operations(self, shape: tuple[int, ...]) -> float:
        widths = [multiple * self.model_channels for multiple in self.channel_mult]
        return unet_operations(shape, widths, self.num_blocks)

    def adapted(self, state: "dict[str, Tensor]") -> "dict[str, Tensor]":
        from guidance_study.networks.modules.song_unet import without_filters

        return without_filters(state)
