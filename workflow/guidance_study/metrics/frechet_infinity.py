"""The Frechet distance of infinitely many generations, extrapolated: a finite set's is biased upwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, ImageMetric
from guidance_study.metrics.frechet import Gaussian, frechet_distance

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Seen

SIZES = 8  # of subsets, from a quarter of the set to all of it


class FrechetInfinity(ImageMetric):
    """The distance extrapolated in one over the number of generations, in every space."""

    kind: Literal["frechet_infinity"]
    seed: int
    columns = (Column("frechet_infinity", "Fréchet distance, extrapolated", digits=2),)
    meaning = "Extrapolated: of subsets of a quarter to all of the generations, to infinitely many; may be below 0."

    def compare(self, features: np.ndarray, seen: Seen, part: str) -> float:
        """The intercept."""
        return extrapolated(features, seen.gaussian[part], self.seed)


def extrapolated(features: np.ndarray, real: Gaussian, seed: int) -> float:
    """The intercept of a line through (1 / n, distance of n rows) for subsets of features (N, D) of SIZES sizes.

    Chong & Forsyth, Effectively unbiased FID and Inception Score (2020): the bias is in proportion to 1 / n.
    ValueError: fewer than 32 rows, otherwise as `frechet_distance`.
    """
    import numpy as np

    from guidance_study.support.randomness import generator

    count = len(features)
    if count < 4 * SIZES:
        raise ValueError(f"There are {count} rows: at least {4 * SIZES} are needed to extrapolate.")
    sizes = np.linspace(count // 4, count, SIZES).astype(np.int64)
    order = [generator(seed, "frechet_infinity", int(n)).permutation(count)[:n] for n in sizes]
    distances = [frechet_distance(Gaussian.of(np.asarray(features)[np.sort(rows)]), real) for rows in order]
    _, intercept = np.polyfit(1 / sizes, distances, 1)
    return float(intercept)
