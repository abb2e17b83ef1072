"""The denoiser of points and of small images on a CPU."""

from math import prod
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Depth, PositiveFloat, PositiveInt
from guidance_study.networks import Network

if TYPE_CHECKING:
    from torch import nn


class ResidualMLP(Network):
    """Residual MLP on the flattened sample with time and class embedding (paper, Fig. S4, lost: our guess)."""

    kind: Literal["residual_mlp"]
    width: PositiveInt = Field(256, description="units of a hidden layer (our guess)")
    blocks: Depth = Field(4, description="residual blocks (our guess)")
    fourier: int = Field(0, ge=0, description="random Fourier features of the input; 0: none (our guess)")
    fourier_sigma: PositiveFloat = Field(1.0, description="standard deviation of their frequencies (our guess)")
    zero_init: bool = Field(False, description="start with a last layer of zeros (our guess)")

    def build(self, shape: tuple[int, ...], rows: int) -> "nn.Module":
        from guidance_study.networks.modules.residual_mlp import ResidualMLP as Module

        return Module(shape, rows, **self.options())

    def operations(self, shape: tuple[int, ...]) -> float:
        return 2.0 * self.width * (2 * self.blocks * self.width + 2 * prod(shape))
