"""Heun's method on EDM's deterministic ODE (Karras et al. 2022, Alg. 1)."""

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import PositiveFloat, Steps
from guidance_study.processes.edm import EDM
from guidance_study.processes.samplers import Guided, Sampler, Step

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws


class Heun(Sampler):
    """How EDM is sampled: Heun's method on the deterministic ODE (Karras et al. 2022, Alg. 1 and Eq. 5)."""

    kind: Literal["heun"]
    steps: Steps = Field(18, description="noise levels; 2 steps - 1 evaluations (EDM's for CIFAR-10)")
    sigma_min: PositiveFloat = Field(0.002, description="lowest noise level above 0 (EDM's)")
    sigma_max: PositiveFloat = Field(80.0, description="highest noise level (EDM's)")
    rho: float = Field(7.0, ge=0.1, le=100, description="how noise levels crowd towards the low end (EDM's)")
    fits: ClassVar = (EDM,)

    @model_validator(mode="after")
    def _falls(self):
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min has the value {self.sigma_min}: it must be below sigma_max, {self.sigma_max}")
        return self

    def evaluations(self) -> int:
        """Two a step, but for the last one."""
        return 2 * self.steps - 1

    def levels(self) -> list[float]:
        """Eq. (5): sigma_i = (sigma_max^(1/rho) + i/(n-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho, then 0."""
        if self.steps == 1:
            return [self.sigma_max, 0.0]
        high, low = self.sigma_max ** (1 / self.rho), self.sigma_min ** (1 / self.rho)
        return [*((high + i / (self.steps - 1) * (low - high)) ** self.rho for i in range(self.steps)), 0.0]

    def sample(self, process: EDM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws") -> "Tensor":
        """Alg. 1: Heun's method on dx/dsigma = (x - D) / sigma, a trapezoid but for the last step to 0.

        The state is float64, the network sees the precision of x.
        """
        levels = self.levels()
        precision, x = x.dtype, x.double() * levels[0]

        def slope(x: "Tensor", step: Step) -> "Tensor":
            level = x.new_full((len(x),), step.t, dtype=precision)
            return (x - model(x.to(precision), level, label, step).double()) / step.t

        for i, (here, there) in enumerate(pairwise(levels)):
            first = slope(x, Step(process, i, self.steps, here, there))
            end = x + (there - here) * first
            if there > 0:
                second = slope(end, Step(process, i, self.steps, there, there, evaluation=1))
                end = x + (there - here) * 0.5 * (first + second)
            x = end
        return x.to(precision)
