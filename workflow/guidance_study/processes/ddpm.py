"""Denoising diffusion (Ho et al. 2020; paper, Eqs. 1-3), sampled by DDIM (Song et al. 2021) or ancestrally.

A denoiser is eps(x, t, label): x (N, *shape), t (N,) int64 diffusion step in [0, T), label (N,) int64 or None.
"""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor, Tensor | None], Tensor]


class DDPM:
    """q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I) with linear betas."""

    def __init__(self, steps: int = 1000, beta_start: float = 1e-4, beta_end: float = 0.02,
                 prediction: str = "eps"):  # fmt: skip
        self.steps = steps
        self.prediction = prediction
        betas = torch.linspace(beta_start, beta_end, steps, dtype=torch.float64)
        self.abar = torch.cumprod(1 - betas, 0)  # (T,) float64
        self._on: dict = {}  # (device, dtype) -> the two square roots, so that a step copies nothing

    @staticmethod
    def of(params: dict) -> "DDPM":
        """The process that a recipe's parameters describe, where it can be no other: `kind` and the arguments."""
        return DDPM(**{name: value for name, value in params.items() if name != "kind"})

    def times(self, draw: np.random.Generator, batch: int) -> np.ndarray:
        """Diffusion steps to train at, uniform in [0, T), (batch,) int64."""
        return draw.integers(self.steps, size=batch)

    def time(self, t: Tensor) -> Tensor:
        """The network's time of a diffusion step: (N,) float32 in [0, 1000), whatever T is."""
        return t.to(torch.float32) * (1000 / self.steps)

    def _roots(self, x: Tensor) -> tuple[Tensor, Tensor]:
        where = (x.device, x.dtype)
        if where not in self._on:
            self._on[where] = (self.abar.sqrt().to(x), (1 - self.abar).sqrt().to(x))
        return self._on[where]

    def sqrt_abar(self, t: Tensor, x: Tensor) -> Tensor:
        """sqrt(abar_t), shaped to multiply x."""
        return self._roots(x)[0][t].reshape(-1, *[1] * (x.ndim - 1))

    def sqrt_one_minus_abar(self, t: Tensor, x: Tensor) -> Tensor:
        """sqrt(1 - abar_t), shaped to multiply x."""
        return self._roots(x)[1][t].reshape(-1, *[1] * (x.ndim - 1))

    def noised(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps."""
        return self.sqrt_abar(t, x0) * x0 + self.sqrt_one_minus_abar(t, x0) * noise

    def denoiser(self, network) -> Denoiser:
        """A network's output as eps: itself, or for prediction 'v' (Salimans & Ho 2022),
        eps = sqrt(abar_t) v + sqrt(1 - abar_t) x_t."""
        if self.prediction == "eps":
            return lambda x, t, label: network(x, self.time(t), label)

        def eps(x, t, label):
            v = network(x, self.time(t), label)
            return self.sqrt_abar(t, x) * v + self.sqrt_one_minus_abar(t, x) * x

        return eps

    def loss(self, eps: Denoiser, x0: Tensor, label: Tensor | None, t: Tensor, noise: Tensor) -> Tensor:
        """Eq. (2): the mean of |eps - eps(x_t, t, c)|^2 over samples and coordinates; a scalar."""
        return torch.nn.functional.mse_loss(eps(self.noised(x0, t, noise), t, label), noise)

    def grid(self, steps: int) -> list[int]:
        """`steps` diffusion steps from T - 1 down to 0, evenly spaced."""
        if not 1 <= steps <= self.steps:
            raise ValueError(f"sampler steps {steps} must be between 1 and the process's {self.steps}")
        if steps == 1:
            return [self.steps - 1]
        return [round((self.steps - 1) * (1 - i / (steps - 1))) for i in range(steps)]

    def path(
        self,
        eps: Denoiser,
        x: Tensor,
        label: Tensor | None,
        *,
        kind: str = "ddim",
        steps: int = 50,
        clip: bool = False,
        noise: Callable[[int], Tensor] | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """The reverse trajectory from x ~ N(0, I): (diffusion step reached, x), ending with (-1, x_0).

        DDIM (eta = 0), or `kind` 'ancestral': eta = 1 with fresh `noise(i)` at the i-th step, which for steps = T is
        DDPM's own sampler. `clip` keeps the predicted x_0 in [-1, 1]. One call of `eps` a step.
        """
        grid = self.grid(steps)
        for i, t in enumerate(grid):
            abar = float(self.abar[t])
            before = float(self.abar[grid[i + 1]]) if i + 1 < len(grid) else 1.0
            predicted = eps(x, torch.full((len(x),), t, device=x.device), label)
            x0 = (x - (1 - abar) ** 0.5 * predicted) / abar**0.5
            if clip:
                x0 = x0.clamp(-1, 1)
                predicted = (x - abar**0.5 * x0) / (1 - abar) ** 0.5
            variance = (1 - before) / (1 - abar) * (1 - abar / before) if kind == "ancestral" else 0.0
            x = before**0.5 * x0 + max(1 - before - variance, 0.0) ** 0.5 * predicted
            if variance > 0:
                x = x + variance**0.5 * noise(i)
            yield (grid[i + 1] if i + 1 < len(grid) else -1), x

    def sample(self, eps: Denoiser, x: Tensor, label: Tensor | None, first: int = 0, **options) -> Tensor:
        """The end of `path`: x_0. A step cannot fail, so the index of the `first` sample is not needed."""
        return deque(self.path(eps, x, label, **options), maxlen=1)[0][1]


def frame_times(params: dict) -> list[int]:
    """The diffusion step of each recorded frame: the sampler's steps, then -1 for x_0."""
    return [*DDPM.of(params["process"]).grid(params["sampler"]["steps"]), -1]
