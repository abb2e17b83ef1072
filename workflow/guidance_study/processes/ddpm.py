"""Denoising diffusion (Ho et al. 2020; paper, Eqs. 1-3).

A denoiser is eps(x, t, label), t (N,) int64 diffusion step in [0, T).
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Steps
from guidance_study.processes import Denoiser, Process
from guidance_study.support.params import Params

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

SMALLEST_ABAR = 1e-8  # below it, x_0 is noise divided by next to nothing
LARGEST_BETA = 0.999  # of the cosine schedule (Nichol & Dhariwal 2021)


class Eps:
    """A network's output as eps(x, t, label): itself, or for prediction 'v' (Salimans & Ho 2022),
    eps = sqrt(abar_t) v + sqrt(1 - abar_t) x_t.

    variance: of a network that learned one (Nichol & Dhariwal 2021), what it last said of it, (N, *shape), -1 for the
    least and 1 for the most; else None.
    """

    def __init__(self, process: "DDPM", network: Callable[..., "Tensor"]):
        self.process, self.network = process, network
        self.variance: Tensor | None = None

    def __call__(self, x: "Tensor", t: "Tensor", label: "Tensor | None") -> "Tensor":
        out, width = self.network(x, self.process.time(t), label), x.shape[1]
        if out.shape[1] > width:
            out, self.variance = out[:, :width], out[:, width:]
        if self.process.prediction == "eps":
            return out
        return self.process.sqrt_abar(t, x) * out + self.process.sqrt_one_minus_abar(t, x) * x


class DDPM(Process):
    """Denoising diffusion (paper, Eqs. 1-3)."""

    renamed: ClassVar = {"steps": "timesteps"}

    kind: Literal["ddpm"]
    timesteps: Steps = Field(1000, description="diffusion steps T (our guess: DDPM's own)")
    betas: Literal["linear", "cosine"] = Field(
        "linear",
        description="from beta_start to beta_end in equal steps, or such that abar falls as a squared cosine (Nichol &"
        " Dhariwal 2021), which uses neither (our guess: DDPM's own)",
    )
    beta_start: float = Field(1e-4, gt=0, lt=1, description="first beta (our guess: DDPM's own)")
    beta_end: float = Field(0.02, gt=0, lt=1, description="last beta (our guess: DDPM's own)")
    prediction: Literal["eps", "v"] = Field(
        "eps",
        description="what the network's output means (our guess)",
    )
    loss_on: Literal["eps", "v"] = Field(
        "eps",
        description="what the loss is the squared error of: eps, Eq. (2) (paper), or v, which weighs a step by 1 / abar"
        " and so the noisy ones, where a sample's kind is decided, more (our guess)",
    )
    sampler: ClassVar[str] = "ddim"
    discrete: ClassVar[bool] = True

    def check(self, at: str) -> None:
        """Linear betas rise, and some signal is left at the end; a loss that divides by it needs some too."""
        if self.betas == "cosine":
            if (self.prediction, self.loss_on) == ("eps", "v"):
                raise ValueError(
                    f"configuration key '{at}.loss_on' has the value 'v': cosine betas leave next to no signal at the"
                    " end, by which the loss of a network that predicts eps is divided; predict v, or take eps"
                )
            return
        if self.beta_end <= self.beta_start:
            raise ValueError(
                f"configuration key '{at}.beta_end' has the value {self.beta_end}: it must be above beta_start,"
                f" {self.beta_start}"
            )
        rise = (self.beta_end - self.beta_start) / max(self.timesteps - 1, 1)
        left = math.prod(1 - (self.beta_start + i * rise) for i in range(self.timesteps))
        if left < SMALLEST_ABAR:
            raise ValueError(
                f"configuration key '{at}.beta_end' has the value {self.beta_end}: with {self.timesteps} timesteps the"
                f" signal"
                f" left at the end, abar = {left:.1e}, must be at least {SMALLEST_ABAR:.0e}"
            )

    def usual_sampler(self) -> Params:
        """DDIM; where next to no signal is left, by steps that need no clipping, as points allow none."""
        return super().usual_sampler() | ({"grid": "log_snr"} if self.betas == "cosine" else {})

    @cached_property
    def abar(self) -> "Tensor":
        """abar_t of q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I), (T,) float64."""
        import torch

        if self.betas == "linear":
            betas = torch.linspace(self.beta_start, self.beta_end, self.timesteps, dtype=torch.float64)
        else:
            edges = torch.arange(self.timesteps + 1, dtype=torch.float64) / self.timesteps
            falling = torch.cos((edges + 0.008) / 1.008 * torch.pi / 2) ** 2
            betas = (1 - falling[1:] / falling[:-1]).clamp(max=LARGEST_BETA)
        return torch.cumprod(1 - betas, 0)

    def signal(self, t: float) -> float:
        """abar_t of one step; 1 for the data, which stand at t = -1."""
        return float(self.abar[int(t)]) if t >= 0 else 1.0

    def log_snr(self, t: float) -> float:
        """log(abar_t / (1 - abar_t)), the logarithm of the signal-to-noise ratio."""
        abar = self.signal(t)
        return math.log(abar) - math.log1p(-abar)

    def sigma(self, t: float) -> float:
        """sqrt((1 - abar_t) / abar_t)."""
        abar = self.signal(t)
        return ((1 - abar) / abar) ** 0.5

    def share(self, t: float) -> float:
        """(t + 1) / T: the data stand at t = -1."""
        return (t + 1) / self.timesteps

    def times(self, draw: "np.random.Generator", batch: int) -> "np.ndarray":
        """Diffusion steps to train at, uniform in [0, T), (batch,) int64."""
        return draw.integers(self.timesteps, size=batch)

    def time(self, t: "Tensor") -> "Tensor":
        """The network's time of a diffusion step: (N,) float32 in [0, 1000), whatever T is."""
        return t.float() * (1000 / self.timesteps)

    @cached_property
    def _on(self) -> dict:
        """(device, dtype) -> sqrt(abar) and sqrt(1 - abar), so that a step copies nothing."""
        return {}

    def _roots(self, x: "Tensor") -> "tuple[Tensor, Tensor]":
        where = (x.device, x.dtype)
        if where not in self._on:
            self._on[where] = (self.abar.sqrt().to(x), (1 - self.abar).sqrt().to(x))
        return self._on[where]

    def sqrt_abar(self, t: "Tensor", x: "Tensor") -> "Tensor":
        """sqrt(abar_t), shaped to multiply x."""
        return self._roots(x)[0][t].reshape(-1, *[1] * (x.ndim - 1))

    def sqrt_one_minus_abar(self, t: "Tensor", x: "Tensor") -> "Tensor":
        """sqrt(1 - abar_t), shaped to multiply x."""
        return self._roots(x)[1][t].reshape(-1, *[1] * (x.ndim - 1))

    def noised(self, x0: "Tensor", t: "Tensor", noise: "Tensor") -> "Tensor":
        """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps."""
        return self.sqrt_abar(t, x0) * x0 + self.sqrt_one_minus_abar(t, x0) * noise

    def denoiser(self, network: Callable[..., "Tensor"]) -> Denoiser:
        """A network's output as eps."""
        return Eps(self, network)

    def clipped(self, eps: Denoiser) -> Denoiser:
        """The same denoiser, the x_0 that it predicts clipped to [-1, 1]."""

        def clip(x, t, label):
            x0 = self.data(eps(x, t, label), x, t).clamp(-1, 1)
            return (x - self.sqrt_abar(t, x) * x0) / self.sqrt_one_minus_abar(t, x)

        return clip

    def loss(self, eps: Denoiser, x0: "Tensor", label: "Tensor | None", t: "Tensor", noise: "Tensor") -> "Tensor":
        """Eq. (2): the mean of |eps - eps(x_t, t, c)|^2 over samples and coordinates; a scalar.

        Of v = sqrt(abar) eps - sqrt(1 - abar) x_0 at the same x_t the error is that of eps over sqrt(abar).
        """
        error = (eps(self.noised(x0, t, noise), t, label) - noise).square()
        return (error / self.sqrt_abar(t, x0) ** 2 if self.loss_on == "v" else error).mean()

    def data(self, m: "Tensor", x: "Tensor", t: "Tensor") -> "Tensor":
        """x_0 = (x - sqrt(1 - abar) eps) / sqrt(abar)."""
        return (x - self.sqrt_one_minus_abar(t, x) * m) / self.sqrt_abar(t, x)

    def slope(self, x: "Tensor", t: "Tensor") -> "Tensor":
        """-sqrt((1 - abar) / abar)."""
        return -self.sqrt_one_minus_abar(t, x) / self.sqrt_abar(t, x)
