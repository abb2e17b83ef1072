"""Rectified flow (Liu et al. 2023): the postprocessor's loss (paper, Eq. 9), its ODE, and the base model of Tab. S1.

A velocity field is v(z, s, label): z (N, *shape), s (N,) in [0, 1], label (N,) int64 or None.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchdiffeq import odeint

from guidance_study.support.errors import StudyError

Velocity = Callable[[Tensor, Tensor, Tensor | None], Tensor]
MAX_STEPS = 10_000  # a flow that needs more has blown up
TIME_SCALE = 1000.0  # networks take time in [0, 1000], as a DDPM's; s in [0, 1] alone would move their embedding little


def velocity(network, output_scale: float = 1.0) -> Velocity:
    """A network as a velocity field. `output_scale` brings the network's output, near 1, to the targets' size."""
    return lambda z, s, label: output_scale * network(z, s * TIME_SCALE, label)


def loss(v: Velocity, start: Tensor, end: Tensor, label: Tensor | None, s: Tensor) -> Tensor:
    """Eq. (9): the mean of |v(z_s, c, s) - (y - x_hat)|^2 with z_s = (1 - s) x_hat + s y; a scalar.

    `start` is the generation x_hat, `end` its real neighbour y. The arXiv print has the target's sign reversed: an
    ODE that starts at x_hat and runs s from 0 to 1 needs y - x_hat.
    """
    weight = s.reshape(-1, *[1] * (start.ndim - 1))
    return torch.nn.functional.mse_loss(v(torch.lerp(start, end, weight), s, label), end - start)


class RectifiedFlow:
    """The base model of the paper's Sec. C: a flow from noise at s = 0 to data at s = 1."""

    def times(self, draw: np.random.Generator, batch: int) -> np.ndarray:
        """Times to train at, uniform in [0, 1), (batch,) float32."""
        return draw.random(batch, dtype=np.float32)

    def denoiser(self, network) -> Velocity:
        """The network as v(z, s, label); Eq. (8) mixes velocities as it mixes eps: they are linear in it."""
        return velocity(network)

    def loss(self, v: Velocity, x0: Tensor, label: Tensor | None, s: Tensor, noise: Tensor) -> Tensor:
        """The mean of |v(z_s, s, c) - (x_0 - n)|^2 with z_s = (1 - s) n + s x_0; a scalar."""
        return loss(v, noise, x0, label, s)

    def sample(self, v: Velocity, x: Tensor, label: Tensor | None, *, rtol: float = 1e-5, atol: float = 1e-5,
               first: int = 0, **_) -> Tensor:  # fmt: skip
        """The end of dz/ds = v(z, s, c) from x (N, *shape) ~ N(0, I), by Dopri5."""
        return solve(v, x, label, rtol, atol, first).end


class NonFiniteVelocity(StudyError):
    """The velocity field returned NaN or infinity; the message names the evaluation, s and the sample."""


class StiffVelocity(StudyError):
    """Dopri5's steps underflow or are too many; the message names s and the farthest sample."""


@dataclass(frozen=True)
class Solution:
    """End points (N, *shape) and the function evaluations that the block took."""

    end: Tensor
    nfe: int


def per_sample_norm(error: Tensor) -> Tensor:
    """The largest RMS of any one sample: an easy crowd cannot hide one bad sample (torchdiffeq's mean over all can)."""
    return error.flatten(1).pow(2).mean(1).sqrt().max()


def solve(v: Velocity, start: Tensor, label: Tensor | None, rtol: float, atol: float, first: int = 0,
          norm=per_sample_norm) -> Solution:  # fmt: skip
    """Integrate dz/ds = v(z, s, c) from z(0) = start to s = 1 by Dopri5; all samples share their steps.

    `first` is the index of the block's first sample, for messages. Raises NonFiniteVelocity, StiffVelocity.
    """
    nfe, last = 0, (0.0, start)

    def field(s, z):
        nonlocal nfe, last
        nfe, last = nfe + 1, (float(s), z)
        value = v(z, s.expand(len(z)).to(z.dtype), label)
        if not torch.isfinite(value).all():
            bad = int((~torch.isfinite(value)).flatten(1).any(1).nonzero()[0])
            raise NonFiniteVelocity(
                f"the velocity is not finite at evaluation {nfe} (s = {last[0]:.4f}) for sample {first + bad}"
            )
        return value

    if len(start) == 0:
        return Solution(start, 0)
    # Times in float64: torchdiffeq steps in their precision, and float32 steps underflow at tight tolerances.
    times = torch.tensor([0.0, 1.0], dtype=torch.float64, device=start.device)
    options = {"norm": norm, "max_num_steps": MAX_STEPS}
    try:
        path = odeint(field, start, times, rtol=rtol, atol=atol, method="dopri5", options=options)
    except AssertionError as error:  # torchdiffeq's way to say that steps underflow or are too many
        far = int(last[1].flatten(1).abs().amax(1).argmax())
        raise StiffVelocity(
            f"Dopri5 gave up at s = {last[0]:.4f} after {nfe} evaluations ({error}); the farthest sample is"
            f" {first + far}; train the postprocessor longer or loosen rtol and atol"
        ) from None
    return Solution(path[-1], nfe)
