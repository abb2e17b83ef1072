"""Ancestral sampling (Ho et al. 2020)."""

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from guidance_study.processes.samplers.ddim import DDIM, posterior_variance

if TYPE_CHECKING:
    from torch import Tensor


class Ancestral(DDIM):
    """How a DDPM is sampled with fresh noise: DDIM with eta = 1, for steps = T DDPM's own sampler."""

    kind: Literal["ancestral"]  # type: ignore[assignment]
    sigma: Literal["posterior", "learned"] = Field(
        "posterior",
        description="size of the fresh noise: DDPM's own, or as a network with learn_sigma learned it (Nichol &"
        " Dhariwal 2021; guided-diffusion's)",
    )

    @property
    def learned_variance(self) -> bool:
        """Whether the base model's network says it."""
        return self.sigma == "learned"

    def variance(self, abar: float, before: float) -> float:
        """DDPM's own, by which the mean of a step is made in either case."""
        return posterior_variance(abar, before)

    def deviation(self, model: Any, abar: float, before: float) -> "Tensor | float":
        """DDPM's own, or exp of half of w log beta + (1 - w) log posterior variance, w = (v + 1) / 2 (their Eq. 15).

        v is what the network of the guided model's base said last, in its evaluation with the class.
        """
        own = self.variance(abar, before)
        if not self.learned_variance:
            return own**0.5
        w = (model.learned_variance + 1) / 2
        return ((w * math.log(1 - abar / before) + (1 - w) * math.log(own)) / 2).exp()
