"""The 2D fractal: two trees of Gaussians (paper, Sec. D.4.1, after the toy example of Karras et al. 2024)."""

import math
from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Depth, PositiveFloat
from guidance_study.datasets.mixture import MixtureDataset
from guidance_study.datasets.mixtures import Mixture

ANGLES = (math.pi / 4, -3 * math.pi / 4)  # of the two trunks: the classes' boundary runs from top left to bottom right


class Fractal(MixtureDataset):
    """Each class is a binary tree of branches, Gaussians stand along each branch; standardised to deviation 1."""

    dimension: ClassVar[int] = 2
    kind: Literal["fractal"]
    offset: float = Field(description="of a trunk's start along its own direction: the entanglement (our guess)")
    splits: int = Field(6, ge=0, le=10, description="times that branches split: 2^(splits + 1) - 1 a class (paper)")
    gaussians: Depth = Field(8, description="Gaussians evenly along a branch (paper)")
    length: PositiveFloat = Field(0.292, description="of a trunk (our guess: Karras et al. 2024)")
    length_factor: PositiveFloat = Field(0.8, description="a child's length over its parent's (our guess)")
    angle_base: PositiveFloat = Field(
        0.7, description="a branch of depth d turns by +/- this to the power d (our guess)"
    )
    weight_factor: PositiveFloat = Field(
        0.5, description="weight of a depth over the one before, times length (our guess)"
    )
    along: PositiveFloat = Field(0.018, description="standard deviation along the branch, before scaling (our guess)")
    across: PositiveFloat = Field(0.01, description="standard deviation across it (our guess)")

    def mixture(self) -> Mixture:
        """The mixture in closed form: the covariance is one base covariance turned by the branch's angle."""
        weights, means, axes, labels = [], [], [], []
        for label, trunk in enumerate(ANGLES):
            for (x, y), length, angle, depth in self._branches(trunk):
                cos, sin = math.cos(angle), math.sin(angle)
                for i in range(self.gaussians):
                    reached = (i + 0.5) / self.gaussians * length
                    weights.append(length * self.weight_factor**depth)
                    means.append([x + reached * cos, y + reached * sin])
                    axes.append([[cos, -sin], [sin, cos]])
                    labels.append(label)
        total = sum(weights)
        weights = [weight / total for weight in weights]
        variances = [[self.along**2, self.across**2]] * len(weights)
        return Mixture(weights, means, variances, axes, labels).standardised()

    def _branches(self, trunk: float) -> list[tuple]:
        """[(start, length, angle, depth)] of a tree, Eqs. (S32) to (S34): children begin where their parent ends."""
        start = (self.offset * math.cos(trunk), self.offset * math.sin(trunk))
        found = [(start, self.length, trunk, 0)]
        for (x, y), length, angle, depth in found:  # grows while it is read
            if depth < self.splits:
                end = (x + length * math.cos(angle), y + length * math.sin(angle))
                turn = self.angle_base ** (depth + 1)
                found += [(end, length * self.length_factor, angle + side * turn, depth + 1) for side in (1, -1)]
        return found
