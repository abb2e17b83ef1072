"""DPM-Solver++(2M) (Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Models", Alg. 2)."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from guidance_study.processes.ddpm import DDPM
from guidance_study.processes.samplers import Guided, Step
from guidance_study.processes.samplers.steps import SteppedSampler

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws


class DPMSolver(SteppedSampler):
    """A DDPM's ODE in the predicted x_0, by two steps: of second order, but for the first and the last step.

    The logarithms lambda of sqrt(signal / noise) are those of the steps that are taken, not of the grid that was
    wished for.
    """

    kind: Literal["dpm_solver"]

    def path(
        self, process: DDPM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws"
    ) -> "Iterator[tuple[int, Tensor]]":
        """The reverse trajectory from x ~ N(0, I): (diffusion step reached, x), ending with (-1, x_0).

        x_i = (sigma_i / sigma_(i-1)) x_(i-1) - alpha_i (e^(-h_i) - 1) D_i, where
        D_i = (1 + 1 / (2 r_i)) x_theta(x_(i-1)) - 1 / (2 r_i) x_theta(x_(i-2)), r_i = h_(i-1) / h_i (Alg. 2).
        """
        import torch

        before: Tensor | None = None  # the x_0 that was predicted a step ago
        gap = math.nan  # h of that step
        for i, (t, following) in enumerate(pairwise(self.times(process))):
            abar, then = process.signal(t), process.signal(following)
            step = Step(process, i, self.steps, t, following)
            eps = model(x, torch.full((len(x),), t, device=x.device), label, step)
            x0 = self.clipped((x - (1 - abar) ** 0.5 * eps) / abar**0.5)
            if following < 0:  # no noise is left: the first order's step is x_0 itself
                yield following, x0
                return
            h = (process.log_snr(following) - process.log_snr(t)) / 2
            direction = x0 if before is None else x0 + (x0 - before) * (h / (2 * gap))
            x = ((1 - then) / (1 - abar)) ** 0.5 * x - then**0.5 * math.expm1(-h) * direction
            before, gap = x0, h
            yield following, x
