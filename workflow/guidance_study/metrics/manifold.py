"""Do samples lie where data lie, and do they cover it: told by nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, ImageMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Seen

_TILE = 2048  # rows a side of a tile of pairs: 32 MiB in float64


class Manifold(ImageMetric):
    """Precision, recall, density and coverage, of so many images of a set, evenly spread."""

    kind: Literal["manifold"]
    manifold_k: int = 5
    manifold_n: int = 10000
    columns = (
        Column("precision", "precision"),
        Column("recall", "recall"),
        Column("density", "density", digits=2),
        Column("coverage", "coverage"),
    )
    meaning = (
        "Precision to coverage: balls that reach the neighbour number {manifold_k}, of at most {manifold_n} images of a"
        " set."
    )

    def compare(self, features: np.ndarray, seen: Seen, part: str) -> dict[str, float]:
        """All four at once."""
        return prdc(_spread(seen.real[part], self.manifold_n), _spread(features, self.manifold_n), self.manifold_k)


def prdc(real: np.ndarray, fake: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of fake (M, D) against real (N, D).

    The ball of a row is closed and reaches the row's k-th nearest other row in its own set.
    - precision: the share of fakes that lie in the ball of some real row.
    - recall: the share of real rows that lie in the ball of some fake.
    - density: the number of real rows' balls that a fake lies in, over k, on average; may exceed 1.
    - coverage: the share of real rows whose ball holds a fake.
    For equal distributions and large N = M, density is near 1 and coverage near 1 - 2^-k.

    Precision and recall: Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative
    Models (2019). Density and coverage: Naeem et al., Reliable Fidelity and Diversity Metrics for
    Generative Models (2020). All in float64; where rounding could move a pair across a ball's surface, its
    exact difference decides.
    ValueError: k below 1, a set of k rows or fewer, dimensions that differ, a feature that is not finite.
    """
    import numpy as np

    from guidance_study.neighbours.search import distances, mean_row, squared_by_product

    real, fake = np.asarray(real), np.asarray(fake)
    if k < 1:
        raise ValueError(f"k = {k}, but k is at least 1.")
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        shapes = f"real features of shape {real.shape} and fake ones of shape {fake.shape}"
        raise ValueError(f"There are {shapes}: both are (rows, dimension), with the same dimension.")
    for name, features in (("real", real), ("fake", fake)):
        if len(features) <= k:
            raise ValueError(f"k = {k}, but there are {len(features)} {name} rows: k is smaller than that.")
    real_radius, fake_radius = radius(real, k), radius(fake, k)
    centre = mean_row(real, np.arange(len(real)))
    balls = np.zeros(len(fake), dtype=np.int64)  # of real rows that hold the fake
    recalled, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    for i in _tiles(len(fake)):
        fakes = np.subtract(fake[i], centre, dtype=np.float64)
        for j in _tiles(len(real)):
            squared, error = squared_by_product(fakes, np.subtract(real[j], centre, dtype=np.float64))

            def exact(row: np.ndarray, column: np.ndarray, i: slice = i, j: slice = j) -> np.ndarray:
                return distances(fake, row + i.start, real, column + j.start)

            in_real_ball = _within(squared, error, real_radius[j], exact)
            balls[i] += in_real_ball.sum(axis=1)
            covered[j] |= in_real_ball.any(axis=0)
            recalled[j] |= _within(squared, error, fake_radius[i, None], exact).any(axis=0)
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(recalled.mean()),
        "density": float(balls.mean() / k),
        "coverage": float(covered.mean()),
    }


def radius(features: np.ndarray, k: int) -> np.ndarray:
    """Distance of each row to its k-th nearest other row, (N,). The search finds the row itself too, at 0."""
    from guidance_study.neighbours.search import search

    return search(features, features, k + 1).distance[:, k]


def _within(
    squared: np.ndarray,
    error: np.ndarray,
    radius: np.ndarray,
    exact: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    """distance <= radius (which broadcasts), (n, m) bool; `exact` decides what the error leaves open."""
    import numpy as np

    limit = np.broadcast_to(radius**2, squared.shape)
    within = squared <= limit
    row, column = np.nonzero(np.abs(squared - limit) <= error)
    if len(row):
        within[row, column] = exact(row, column) <= np.broadcast_to(radius, squared.shape)[row, column]
    return within


def _tiles(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _TILE, count)) for start in range(0, count, _TILE))


def _spread(features: np.ndarray, n: int) -> np.ndarray:
    """At most n rows, evenly spread: a dataset's classes may stand one after the other."""
    import numpy as np

    return np.asarray(features[np.linspace(0, len(features) - 1, min(n, len(features))).astype(np.int64)])
