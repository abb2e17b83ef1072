"""Do points cover the real ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import ClassMetric, Column

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import RealPoints


class PointCoverage(ClassMetric):
    """Coverage (Naeem et al. 2020) of real points by points of the same class."""

    kind: Literal["point_coverage"]
    manifold_k: int = 5
    columns = (Column("coverage", "coverage"),)
    meaning = "Coverage: balls around real points, as many as generations, that reach neighbour number {manifold_k}."

    def of_class(self, x: np.ndarray, real: RealPoints, label: int) -> float:
        """A share, 0 to 1."""
        return coverage(x, real.of_class(label), self.manifold_k)


def coverage(x: np.ndarray, real: np.ndarray, k: int) -> float:
    """Coverage (Naeem et al. 2020) of real points (M, d) by points (N, d) of the same class.

    The share of real points whose ball, reaching their k-th nearest other real point, holds a generation; as many
    real points as generations, the first ones.
    """
    from scipy.spatial import cKDTree

    real = real[: len(x)]
    radius = cKDTree(real).query(real, k + 1)[0][:, -1]
    return float((cKDTree(x).query(real)[0] <= radius).mean())
