"""EDM (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models").

x = x_0 + sigma n. A denoiser is D(x, sigma, label), an estimate of x_0: x (N, *shape), sigma (N,) float32, label (N,)
int64 or None. Guidance by Eq. (8) mixes denoisers as it mixes eps = (x - D) / sigma, for it is linear.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

Denoiser = Callable[..., Tensor]


class EDM:
    """Preconditioning, loss weight and noise levels of Tab. 1, column "Ours"."""

    def __init__(self, sigma_data: float = 0.5, p_mean: float = -1.2, p_std: float = 1.2):
        self.sigma_data, self.p_mean, self.p_std = sigma_data, p_mean, p_std

    def times(self, draw: np.random.Generator, batch: int) -> np.ndarray:
        """Noise levels to train at, ln(sigma) ~ N(p_mean, p_std^2), (batch,) float32."""
        return np.exp(self.p_mean + self.p_std * draw.standard_normal(batch, dtype=np.float32))

    def preconditioning(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """c_skip, c_out, c_in and c_noise of Tab. 1, each of sigma's shape."""
        total = sigma**2 + self.sigma_data**2
        return self.sigma_data**2 / total, sigma * self.sigma_data / total.sqrt(), 1 / total.sqrt(), sigma.log() / 4

    def denoiser(self, network) -> Denoiser:
        """Eq. (7): D(x; sigma) = c_skip x + c_out F(c_in x; c_noise, label). What follows the label goes to F too."""

        def denoise(x: Tensor, sigma: Tensor, label: Tensor | None, *told) -> Tensor:
            c_skip, c_out, c_in, c_noise = self.preconditioning(sigma)
            scale = lambda c: c.reshape(-1, *[1] * (x.ndim - 1))  # noqa: E731
            return scale(c_skip) * x + scale(c_out) * network(scale(c_in) * x, c_noise, label, *told)

        return denoise

    def loss(self, denoise: Denoiser, x0: Tensor, label: Tensor | None, sigma: Tensor, noise: Tensor, *told) -> Tensor:
        """Eq. (8): the mean of lambda(sigma) |D(x_0 + sigma n) - x_0|^2, lambda = 1 / c_out^2; a scalar."""
        level = sigma.reshape(-1, *[1] * (x0.ndim - 1))
        weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
        return (weight * (denoise(x0 + level * noise, sigma, label, *told) - x0) ** 2).mean()

    def levels(self, steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
        """Eq. (5): sigma_i = (sigma_max^(1/rho) + i/(n-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho, then 0."""
        if steps == 1:
            return [sigma_max, 0.0]
        high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
        return [*((high + i / (steps - 1) * (low - high)) ** rho for i in range(steps)), 0.0]

    def sample(self, denoise: Denoiser, x: Tensor, label: Tensor | None, *, steps: int = 18,
               sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0, **_) -> Tensor:  # fmt: skip
        """Alg. 1: Heun's method on dx/dsigma = (x - D) / sigma, a trapezoid but for the last step to 0.

        The state is float64, the network sees the precision of x, (N, *shape) ~ N(0, I). 2 steps - 1 evaluations.
        """
        levels = self.levels(steps, sigma_min, sigma_max, rho)
        precision, x = x.dtype, x.double() * levels[0]

        def slope(x: Tensor, sigma: float) -> Tensor:
            level = torch.full((len(x),), sigma, dtype=precision, device=x.device)
            return (x - denoise(x.to(precision), level, label).double()) / sigma

        for here, there in pairwise(levels):
            first = slope(x, here)
            step = x + (there - here) * first
            if there > 0:
                step = x + (there - here) * 0.5 * (first + slope(step, there))
            x = step
        return x.to(precision)
