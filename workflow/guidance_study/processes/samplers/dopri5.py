"""Dopri5 on dz/ds = v(z, s, c): for the rectified-flow base model and for the postprocessor."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import PositiveFloat, PositiveInt
from guidance_study.processes.rectified_flow import RectifiedFlow, Velocity
from guidance_study.processes.samplers import Guided, Sampler, Step
from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws

MAX_STEPS = 10_000  # a flow that needs more has blown up


class Dopri5(Sampler):
    """How a rectified flow is sampled (paper, Sec. C), with the error norm of `Solver`."""

    kind: Literal["dopri5"]
    rtol: PositiveFloat = Field(1e-5, description="relative tolerance (our guess)")
    atol: PositiveFloat = Field(1e-5, description="absolute tolerance (our guess)")
    block: PositiveInt = Field(500, description="samples solved together, fixed by index (our guess)")
    fits: ClassVar = (RectifiedFlow,)

    @property
    def together(self) -> int:
        """A block's samples share their steps."""
        return self.block

    def evaluations(self) -> None:
        """As many as the tolerances need."""

    def sample(self, process: RectifiedFlow, model: Guided, x: "Tensor", label: "Tensor | None",
               draws: "Draws") -> "Tensor":  # fmt: skip
        """The end of dz/ds = v(z, s, c) from x."""
        index = count()
        v = lambda z, s, label: model(z, s, label, Step(process, next(index), None, float(s[0]), None))  # noqa: E731
        return solve(v, x, label, self.rtol, self.atol, draws.first).end


class NonFiniteVelocity(StudyError):
    """The velocity field returned NaN or infinity; the message names the evaluation, s and the sample."""


class StiffVelocity(StudyError):
    """Dopri5's steps underflow or are too many; the message names s and the farthest sample."""


@dataclass(frozen=True)
class Solution:
    """End points (N, *shape) and the function evaluations that the block took."""

    end: "Tensor"
    nfe: int


def per_sample_norm(error: "Tensor") -> "Tensor":
    """The largest RMS of any one sample: an easy crowd cannot hide one bad sample (torchdiffeq's mean over all can)."""
    return error.flatten(1).pow(2).mean(1).sqrt().max()


def solve(v: Velocity, start: "Tensor", label: "Tensor | None", rtol: float, atol: float, first: int = 0,
          norm: Callable[["Tensor"], "Tensor"] = per_sample_norm) -> Solution:  # fmt: skip
    """Integrate dz/ds = v(z, s, c) from z(0) = start to s = 1 by Dopri5; all samples share their steps.

    `first` is the index of the block's first sample, for messages. Raises NonFiniteVelocity, StiffVelocity.
    """
    import torch
    from torchdiffeq import odeint

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
