"""DDIM (Song et al. 2021)."""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Steps
from guidance_study.processes.ddpm import DDPM
from guidance_study.processes.samplers import Guided, Sampler, Step

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws


class DDIM(Sampler):
    """How a DDPM is sampled without fresh noise: DDIM with eta = 0 (Song et al. 2021)."""

    renamed: ClassVar = {"clip": "clip_x0"}

    kind: Literal["ddim"]
    steps: Steps = Field(50, description="sampling steps, one guided evaluation each (our guess)")
    clip_x0: bool = Field(False, description="clip the predicted x_0 to [-1, 1] at every step (our guess)")
    fits: ClassVar = (DDPM,)

    def check(self, at: str, name: str, process: DDPM) -> None:
        """No more steps than the process has."""
        if self.steps > process.timesteps:
            raise ValueError(
                f"configuration key '{at}.steps' has the value {self.steps}: at most {process.timesteps}, the steps of"
                f" process '{name}'"
            )

    def evaluations(self) -> int:
        """One a step."""
        return self.steps

    def times(self, process: DDPM) -> list[int]:
        """Diffusion steps of a path's states: `steps` from T - 1 down to 0, evenly spaced, then -1 for x_0."""
        first, gaps = process.timesteps - 1, max(self.steps - 1, 1)
        return [*(round(first * (1 - i / gaps)) for i in range(self.steps)), -1]

    def variance(self, abar: float, before: float) -> float:
        """Of the fresh noise in a step from abar to `before`, the next step's."""
        return 0.0

    def path(
        self, process: DDPM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws"
    ) -> "Iterator[tuple[int, Tensor]]":
        """The reverse trajectory from x ~ N(0, I): (diffusion step reached, x), ending with (-1, x_0).

        `clip_x0` keeps the predicted x_0 in [-1, 1].
        """
        import torch

        for i, (t, following) in enumerate(pairwise(self.times(process))):
            abar, before = process.signal(t), process.signal(following)
            predicted = model(
                x, torch.full((len(x),), t, device=x.device), label, Step(process, i, self.steps, t, following)
            )
            x0 = (x - (1 - abar) ** 0.5 * predicted) / abar**0.5
            if self.clip_x0:
                x0 = x0.clamp(-1, 1)
                predicted = (x - abar**0.5 * x0) / (1 - abar) ** 0.5
            variance = self.variance(abar, before)
            x = before**0.5 * x0 + max(1 - before - variance, 0.0) ** 0.5 * predicted
            if variance > 0:
                x = x + variance**0.5 * draws.normal(f"step{i}", x.shape[1:]).to(x)
            yield following, x

    def sample(self, process: DDPM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws") -> "Tensor":
        """The end of `path`: x_0."""
        return deque(self.path(process, model, x, label, draws), maxlen=1)[0][1]
