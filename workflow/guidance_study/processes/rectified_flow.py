"""Rectified flow (Liu et al. 2023): the postprocessor's loss (paper, Eq. 9), and the base model of Tab. S1.

A velocity field is v(z, s, label): z (N, *shape), s (N,) in [0, 1], label (N,) int64 or None.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import PositiveFloat
from guidance_study.processes import Denoiser, Process

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Velocity = Denoiser
TIME_SCALE = 1000.0  # networks take time in [0, 1000], as a DDPM's; s in [0, 1] alone would move their embedding little


def velocity(network: Callable[..., "Tensor"], output_scale: float = 1.0, time_scale: float = TIME_SCALE) -> Velocity:
    """A network as a velocity field. `output_scale` brings the network's output, near 1, to the targets' size."""
    return lambda z, s, label: output_scale * network(z, s * time_scale, label)


def loss(v: Velocity, start: "Tensor", end: "Tensor", label: "Tensor | None", s: "Tensor") -> "Tensor":
    """Eq. (9): the mean of |v(z_s, c, s) - (y - x_hat)|^2 with z_s = (1 - s) x_hat + s y; a scalar.

    `start` is the generation x_hat, `end` its real neighbour y. The arXiv print has the target's sign reversed: an
    ODE that starts at x_hat and runs s from 0 to 1 needs y - x_hat.
    """
    from torch.nn.functional import mse_loss

    weight = s.reshape(-1, *[1] * (start.ndim - 1))
    return mse_loss(v(start.lerp(end, weight), s, label), end - start)


class RectifiedFlow(Process):
    """Rectified flow from noise at s = 0 to data at s = 1 (Liu et al. 2023), the base of the paper's Tab. S1."""

    kind: Literal["rectified_flow"]
    time_scale: PositiveFloat = Field(
        TIME_SCALE, description="the network sees s times this; of torchcfm's weights 1 (our guess)"
    )
    sampler: ClassVar[str] = "dopri5"

    def times(self, draw: "np.random.Generator", batch: int) -> "np.ndarray":
        """Times to train at, uniform in [0, 1), (batch,) float32."""
        return draw.random(batch, dtype="float32")

    def sigma(self, t: float) -> float:
        """(1 - s) / s: z_s = (1 - s) n + s x_0."""
        return (1 - t) / t if t > 0 else float("inf")

    def share(self, t: float) -> float:
        """1 - s."""
        return 1 - t

    def denoiser(self, network: Callable[..., "Tensor"]) -> Velocity:
        """The network as v(z, s, label); Eq. (8) mixes velocities as it mixes eps: they are linear in it."""
        return velocity(network, time_scale=self.time_scale)

    def loss(self, v: Velocity, x0: "Tensor", label: "Tensor | None", s: "Tensor", noise: "Tensor") -> "Tensor":
        """The mean of |v(z_s, s, c) - (x_0 - n)|^2 with z_s = (1 - s) n + s x_0; a scalar."""
        return loss(v, noise, x0, label, s)

    def data(self, m: "Tensor", x: "Tensor", t: "Tensor") -> "Tensor":
        """x_0 = z + (1 - s) v."""
        return x + self.slope(x, t) * m

    def slope(self, x: "Tensor", t: "Tensor") -> "Tensor":
        """1 - s."""
        return (1 - t).reshape(-1, *[1] * (x.ndim - 1)).to(x)
