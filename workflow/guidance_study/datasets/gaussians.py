"""Two Gaussians on a line (paper, Figs. 1 to 3)."""

from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import PositiveFloat
from guidance_study.datasets.mixture import MixtureDataset
from guidance_study.datasets.mixtures import Mixture


class Gaussians(MixtureDataset):
    """Class 0 is N(+separation, variance), class 1 N(-separation, variance); equally likely."""

    dimension: ClassVar[int] = 1
    kind: Literal["gaussians"]
    separation: PositiveFloat = Field(description="distance of a mean from 0 (recovered: 1.0, 0.5, 0.1)")
    variance: PositiveFloat = Field(0.05, description="variance of a class (our guess: the paper's 0.05 is one)")

    def mixture(self) -> Mixture:
        """The mixture in closed form; its decision boundary is x = 0 at every noise level."""
        means, variances = [[self.separation], [-self.separation]], [[self.variance]] * 2
        return Mixture([0.5, 0.5], means, variances, [[[1.0]]] * 2, [0, 1])
