"""DDIM (Song et al. 2021)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from guidance_study.processes.ddpm import DDPM
from guidance_study.processes.samplers import Guided, Step
from guidance_study.processes.samplers.steps import SteppedSampler

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws


class DDIM(SteppedSampler):
    """How a DDPM is sampled without fresh noise: DDIM with eta = 0 (Song et al. 2021)."""

    kind: Literal["ddim"]

    def variance(self, abar: float, before: float) -> float:
        """Of the fresh noise in a step from abar to `before`, the next step's."""
        return 0.0

    def deviation(self, model: Guided, abar: float, before: float) -> "Tensor | float":
        """Standard deviation of that noise."""
        return self.variance(abar, before) ** 0.5

    def moved(self, x: "Tensor", eps: "Tensor", abar: float, before: float, variance: float = 0.0) -> "Tensor":
        """The step from abar to `before` that leaves so much variance to fresh noise (their Eq. 12)."""
        x0 = (x - (1 - abar) ** 0.5 * eps) / abar**0.5
        if self.clip_x0 == "after_guidance":
            x0 = self.clipped(x0)
            eps = (x - abar**0.5 * x0) / (1 - abar) ** 0.5
        return before**0.5 * x0 + max(1 - before - variance, 0.0) ** 0.5 * eps

    def path(
        self, process: DDPM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws"
    ) -> "Iterator[tuple[int, Tensor]]":
        """The reverse trajectory from x ~ N(0, I): (diffusion step reached, x), ending with (-1, x_0)."""
        import torch

        for i, (t, following) in enumerate(pairwise(self.times(process))):
            abar, before = process.signal(t), process.signal(following)
            predicted = model(
                x, torch.full((len(x),), t, device=x.device), label, Step(process, i, self.steps, t, following)
            )
            variance = self.variance(abar, before)
            x = self.moved(x, predicted, abar, before, variance)
            if variance > 0:
                x = x + self.deviation(model, abar, before) * draws.normal(f"step{i}", x.shape[1:]).to(x)
            yield following, x


def posterior_variance(abar: float, before: float) -> float:
    """That of q(x_before | x_t, x_0): the fresh noise of DDPM's own step (Ho et al. 2020, Eq. 7)."""
    return (1 - before) / (1 - abar) * (1 - abar / before)
