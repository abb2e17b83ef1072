"""Adaptive projected guidance (Sadat et al. 2025, Eliminating oversaturation and artifacts of high guidance scales)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import PositiveFloat
from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided

if TYPE_CHECKING:
    from torch import Tensor


class AdaptiveProjected(Guidance):
    """Classifier-free guidance whose update of x_0 is damped where it follows x_0 itself, bounded, and braked.

    parallel 1, momentum 0 and no bound make it classifier-free guidance.
    """

    kind: Literal["adaptive_projected"]
    parallel: float = Field(0.0, ge=0, le=1, description="eta: what is kept of the update along x_0 (their paper's 0)")
    bound: PositiveFloat | None = Field(
        None, description="r: largest length of a sample's update; null: none (their paper: 2.5 to 15, by model)"
    )
    momentum: float = Field(
        -0.5,
        gt=-1,
        lt=1,
        description="beta: of earlier updates in the next; below 0 it brakes (their paper: -0.5, -0.75)",
    )
    short: ClassVar[str] = "apg"
    title: ClassVar[str] = "adaptive projected"
    conditional: ClassVar[bool] = True

    @property
    def one_evaluation(self) -> bool:  # type: ignore[override]  # of other rules the class alone tells it
        """The update before is that of the step before, so momentum is of whole steps."""
        return self.momentum != 0

    def start(self, batch: Batch) -> Guided:
        """Their Alg. 1: x_0(c) + (s - 1) (u_orthogonal + eta u_parallel), u the update after momentum and bound."""
        if batch.scale == 1:
            return batch.model
        before: Tensor | float = 0.0  # the update of x_0 in the step before

        def guided(x, t, label, step):
            nonlocal before
            conditional, free = batch.model.both(x, t, label)
            slope, update = batch.process.slope(x, t), conditional - free
            if self.momentum:
                update = update + self.momentum * before / slope
                before = slope * update
            x0 = batch.process.data(conditional, x, t)
            return conditional + (batch.scale - 1) * self._kept(update, slope, x0)

        return guided

    def _kept(self, update: "Tensor", slope: "Tensor", x0: "Tensor") -> "Tensor":
        """The update (N, *shape), bounded where it moves x_0 by more, its part along x_0 damped."""
        if self.bound is not None:
            length = (slope * update).flatten(1).norm(dim=1).clamp_min(1e-12)
            update = update * (self.bound / length).clamp_max(1).reshape(-1, *[1] * (x0.ndim - 1))
        flat, direction = update.flatten(1), x0.flatten(1)
        squared = direction.square().sum(1, keepdim=True).clamp_min(1e-12)
        share = (flat * direction).sum(1, keepdim=True) / squared
        return (flat - (1 - self.parallel) * share * direction).view_as(update)
