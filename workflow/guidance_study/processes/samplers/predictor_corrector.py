"""DDIM and Langevin steps in turn (Song et al. 2021, Score-based generative modeling; Bradley & Nakkiran 2024)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Depth
from guidance_study.processes.ddpm import DDPM
from guidance_study.processes.samplers import Guided, Step
from guidance_study.processes.samplers.ddim import DDIM, posterior_variance

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws


class PredictorCorrector(DDIM):
    """A DDIM step, then Langevin steps at the noise level reached, each of as much fresh noise as an ancestral step.

    The model is asked with `step.evaluation` 0 for the prediction, and 1, 2, ... for the corrections: a guidance rule
    may answer them differently. The last step, to the data, is not corrected.
    """

    kind: Literal["predictor_corrector"]  # type: ignore[assignment]
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
            for evaluation in range(1 + (self.corrections if following >= 0 else 0)):
                now = following if evaluation else t  # a correction's x has the level that the step led to
                at = torch.full((len(x),), now, device=x.device)
                eps = model(x, at, label, Step(process, i, self.steps, now, following, evaluation))
                if evaluation == 0:
                    x = self.moved(x, eps, abar, before)
                    continue
                noise = posterior_variance(abar, before)
                fresh = draws.normal(f"step{i}/{evaluation - 1}", x.shape[1:]).to(x)
                x = x - noise / 2 / (1 - before) ** 0.5 * eps + noise**0.5 * fresh
            yield following, x
