"""The UNet of guided-diffusion (Dhariwal & Nichol 2021)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import PositiveInt
from guidance_study.networks import Network
from guidance_study.networks.halving import UNetFields, check_halves, unet_operations

if TYPE_CHECKING:
    from torch import nn


class UNet(UNetFields, Network):
    """The UNet of guided-diffusion, its names and shapes (paper, Sec. D.5.2 and D.6.1)."""

    kind: Literal["unet"]
    learn_sigma: bool = Field(
        False,
        description="twice the channels come out, the second half the variance that a DDPM learned; of weights from"
        " outside alone (guided-diffusion's default)",
    )
    patch: PositiveInt = Field(
        1, description="side of the squares of pixels that enter as channels of one; 2 costs a quarter (paper: 1)"
    )

    @property
    def learned_variance(self) -> bool:
        """Whether it was built with one."""
        return self.learn_sigma

    def check(self, shape: tuple[int, ...]) -> None:
        check_halves(shape, len(self.channel_mult), self.patch)

    def build(self, shape: tuple[int, ...], rows: int) -> "nn.Module":
        from guidance_study.networks.modules.unet import UNetModel

        return UNetModel(shape, rows, **self.options())

    def operations(self, shape: tuple[int, ...]) -> float:
        return unet_operations(shape, self.widths, self.num_res_blocks) / self.patch**2
