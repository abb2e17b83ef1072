"""What samplers of fixed steps of a DDPM share: grid, end of the path, clipping of x_0. Defines no kind."""

from abc import abstractmethod
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Steps
from guidance_study.processes import Denoiser
from guidance_study.processes.ddpm import DDPM
from guidance_study.processes.samplers import Guided, Sampler

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws


class SteppedSampler(Sampler):
    """A sampler whose steps are steps of the process; one guided evaluation each."""

    renamed: ClassVar = {"clip": "clip_x0"}

    steps: Steps = Field(50, description="sampling steps, one guided evaluation each (our guess)")
    grid: Literal["uniform", "log_snr"] = Field(
        "uniform",
        description="steps evenly spaced in the diffusion step, or, to the nearest step, in the logarithm of the"
        " signal-to-noise ratio (our guess)",
    )
    clip_x0: Literal["none", "before_guidance", "after_guidance"] = Field(
        "none",
        description="clip x_0 to [-1, 1] at every step: as each model predicts it, or as guidance makes it of them"
        " (our guess)",
    )
    fits: ClassVar = (DDPM,)

    def check(self, at: str, name: str, process: DDPM) -> None:
        """No more steps than the process has, and an x_0 that is more than noise divided by next to nothing."""
        if self.steps > process.timesteps:
            raise ValueError(
                f"configuration key '{at}.steps' has the value {self.steps}: at most {process.timesteps}, the steps of"
                f" process '{name}'"
            )

        if process.betas == "cosine" and (self.grid, self.clip_x0) == ("uniform", "none"):
            raise ValueError(
                f"configuration key '{at}.clip_x0' has the value 'none': cosine betas leave next to no signal at the"
                f" end of process '{name}', so that x_0 must be clipped, or the grid be log_snr"
            )

    def evaluations(self) -> int:
        """One a step."""
        return self.steps

    def times(self, process: DDPM) -> list[int]:
        """Diffusion steps of a path's states: `steps` different ones from T - 1 down to 0, then -1 for x_0."""
        first, gaps = process.timesteps - 1, max(self.steps - 1, 1)
        if self.grid == "uniform":
            return [*(round(first * (1 - i / gaps)) for i in range(self.steps)), -1]
        there = [-process.log_snr(t) for t in range(process.timesteps)]  # rises with t
        found: list[int] = []
        for i in range(self.steps):
            wanted = there[first] + i / gaps * (there[0] - there[first])
            after = min(bisect_left(there, wanted), first)
            found.append(min(max(after - 1, 0), after, key=lambda t: abs(there[t] - wanted)))
        for i in reversed(range(self.steps)):  # where the grid is finer than the process, each has its own step
            found[i] = max(found[i], found[i + 1] + 1 if i + 1 < self.steps else 0)
        for i in range(self.steps):
            found[i] = min(found[i], found[i - 1] - 1 if i else first)
        return [*found, -1]

    @abstractmethod
    def path(
        self, process: DDPM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws"
    ) -> "Iterator[tuple[int, Tensor]]":
        """The reverse trajectory from x ~ N(0, I): (diffusion step reached, x), ending with (-1, x_0)."""

    def denoiser(self, process: DDPM, denoiser: Denoiser) -> Denoiser:
        """With x_0 clipped, where that is to be before guidance."""
        return process.clipped(denoiser) if self.clip_x0 == "before_guidance" else denoiser

    def clipped(self, x0: "Tensor") -> "Tensor":
        """x_0 as a step takes it."""
        return x0.clamp(-1, 1) if self.clip_x0 == "after_guidance" else x0

    def sample(self, process: DDPM, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws") -> "Tensor":
        """The end of `path`: x_0."""
        return deque(self.path(process, model, x, label, draws), maxlen=1)[0][1]
