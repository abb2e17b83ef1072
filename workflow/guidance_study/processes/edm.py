"""EDM (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models").

x = x_0 + sigma n. A denoiser is D(x, sigma, label), an estimate of x_0; sigma (N,) float32. Guidance by Eq. (8) mixes
denoisers as it mixes eps = (x - D) / sigma, for it is linear.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import PositiveFloat
from guidance_study.processes import Denoiser, Process

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class EDM(Process):
    """EDM's preconditioning and loss (Karras et al. 2022, Tab. 1)."""

    kind: Literal["edm"]
    sigma_data: PositiveFloat = Field(0.5, description="standard deviation of the data (EDM's)")
    p_mean: float = Field(-1.2, ge=-20, le=20, description="mean of ln(sigma) in training (EDM's)")
    p_std: float = Field(1.2, gt=0, le=10, description="standard deviation of ln(sigma) in training (EDM's)")
    sampler: ClassVar[str] = "heun"
    told: ClassVar[bool] = True

    def times(self, draw: "np.random.Generator", batch: int) -> "np.ndarray":
        """Noise levels to train at, ln(sigma) ~ N(p_mean, p_std^2), (batch,) float32."""
        import numpy as np

        return np.exp(self.p_mean + self.p_std * draw.standard_normal(batch, dtype=np.float32))

    def sigma(self, t: float) -> float:
        """Time is the noise level itself."""
        return t

    def preconditioning(self, sigma: "Tensor") -> "tuple[Tensor, Tensor, Tensor, Tensor]":
        """c_skip, c_out, c_in and c_noise of Tab. 1, each of sigma's shape."""
        total = sigma**2 + self.sigma_data**2
        return self.sigma_data**2 / total, sigma * self.sigma_data / total.sqrt(), 1 / total.sqrt(), sigma.log() / 4

    def denoiser(self, network: Callable[..., "Tensor"]) -> Denoiser:
        """Eq. (7): D(x; sigma) = c_skip x + c_out F(c_in x; c_noise, label). What follows the label goes to F too."""

        def denoise(x, sigma, label, *told):
            c_skip, c_out, c_in, c_noise = self.preconditioning(sigma)
            scale = lambda c: c.reshape(-1, *[1] * (x.ndim - 1))  # noqa: E731
            return scale(c_skip) * x + scale(c_out) * network(scale(c_in) * x, c_noise, label, *told)

        return denoise

    def loss(self, denoise: Denoiser, x0: "Tensor", label: "Tensor | None", sigma: "Tensor", noise: "Tensor",
             *told) -> "Tensor":  # fmt: skip
        """Eq. (8): the mean of lambda(sigma) |D(x_0 + sigma n) - x_0|^2, lambda = 1 / c_out^2; a scalar."""
        level = sigma.reshape(-1, *[1] * (x0.ndim - 1))
        weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
        return (weight * (denoise(x0 + level * noise, sigma, label, *told) - x0) ** 2).mean()

    def data(self, m: "Tensor", x: "Tensor", t: "Tensor") -> "Tensor":
        """D itself."""
        return m

    def slope(self, x: "Tensor", t: "Tensor") -> "Tensor":
        """1."""
        return x.new_ones(1)
