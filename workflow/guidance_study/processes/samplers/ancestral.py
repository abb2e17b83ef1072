"""Ancestral sampling (Ho et al. 2020)."""

from typing import Literal

from guidance_study.processes.samplers.ddim import DDIM, posterior_variance


class Ancestral(DDIM):
    """How a DDPM is sampled with fresh noise: DDIM with eta = 1, for steps = T DDPM's own sampler."""

    kind: Literal["ancestral"]  # type: ignore[assignment]

    def variance(self, abar: float, before: float) -> float:
        """DDPM's own."""
        return posterior_variance(abar, before)
