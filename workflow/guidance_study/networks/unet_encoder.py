"""The noisy classifier of guided-diffusion (Dhariwal & Nichol 2021)."""

from typing import TYPE_CHECKING, Literal

from guidance_study.networks import ClassifierNetwork
from guidance_study.networks.halving import UNetFields, check_halves, unet_operations

if TYPE_CHECKING:
    from torch import Tensor, nn


class UNetEncoder(UNetFields, ClassifierNetwork):
    """The way down of guided-diffusion's UNet and a pool with attention: its classifier of noisy images."""

    kind: Literal["unet_encoder"]

    def check(self, shape: tuple[int, ...]) -> None:
        check_halves(shape, len(self.channel_mult))

    def build(self, shape: tuple[int, ...], classes: int, noisy: bool) -> "nn.Module":
        from guidance_study.networks.modules import unet_encoder

        return unet_encoder.UNetEncoder(shape, classes, noisy, **self.options())

    def operations(self, shape: tuple[int, ...], classes: int) -> float:
        return unet_operations(shape, self.widths, self.num_res_blocks) / 3

    def adapted(self, state: "dict[str, Tensor]") -> "dict[str, Tensor]":
        """Of the last layer, a convolution of one pixel there, the matrix."""
        theirs = {f"out.2.c_proj.{part}": f"head.{part}" for part in ("weight", "bias")}
        named = {theirs.get(name, name): value for name, value in state.items()}
        if (weight := named.get("head.weight")) is not None and weight.ndim == 3:
            named["head.weight"] = weight.squeeze(2)
        return named
