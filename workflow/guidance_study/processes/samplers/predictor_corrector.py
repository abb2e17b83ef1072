"""DDIM and Langevin steps in turn (Song et al. 2021, Score-based generative modeling; Bradley & Nakkiran 2024)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Depth
from guidance_study.processes.ddpm import DDPM
from guidance_study.processes.samplers import Guided, Step
from guidance_study.processes.samplers.steps import SteppedSampler

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws


class PredictorCorrector(SteppedSampler):
    """A DDIM step, then Langevin steps at the noise level reached, each of as much fresh noise as an ancestral step.

    The model is asked with `step.evaluation` 0 for the prediction, and 1, 2, ... for the corrections: a guidance rule
    may answer them differently. The last step, to the data, is not corrected.
    """

    kind: Literal["predictor_corrector"]
    corrections: Depth = Field(1, description="Langevin steps after each step (Bradley & Nakkiran's paper: 1 and more)")

    def evaluations(self) -> int:
        """One for each prediction, and one for each correction."""
        return self.steps + (self.steps - 1) * self.corrections

    def path(
        self, process: DDPM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws"
    ) -> "Iterator[tuple[int, Tensor]]":
        """The reverse trajectory from x ~ N(0, I): (diffusion step reached, x), ending with (-1, x_0).

        Correction: x + (d / 2) grad log p + sqrt(d) n, grad log p = -eps / sqrt(1 - abar), d an ancestral step's noise.
        """
        import torch

        for i, (t, following) in enumerate(pairwise(self.times(process))):
            abar, before = process.signal(t), process.signal(following)

            def eps(x, time, evaluation, here=(i, t, following)):
                index, t, following = here
                step = Step(process, index, self.steps, t, following, evaluation)
                return model(x, torch.full((len(x),), time, device=x.device), label, step)

            predicted = eps(x, t, 0)
            x0 = (x - (1 - abar) ** 0.5 * predicted) / abar**0.5
            if self.clip_x0 == "after_guidance":
                x0 = self.clipped(x0)
                predicted = (x - abar**0.5 * x0) / (1 - abar) ** 0.5
            x = before**0.5 * x0 + (1 - before) ** 0.5 * predicted
            noise = (1 - before) / (1 - abar) * (1 - abar / before)
            for correction in range(self.corrections if following >= 0 else 0):
                score = -eps(x, following, correction + 1) / (1 - before) ** 0.5
                fresh = draws.normal(f"step{i}/{correction}", x.shape[1:]).to(x)
                x = x + noise / 2 * score + noise**0.5 * fresh
            yield following, x
