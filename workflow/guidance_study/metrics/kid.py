"""The kernel distance between two sets of features: KID, when the features are Inception's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, ImageMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Seen


class KernelDistance(ImageMetric):
    """The kernel distance in every space."""

    kind: Literal["kid"]
    seed: int
    columns = (Column("kid", "KID x 1000", factor=1000),)

    def compare(self, features: np.ndarray, seen: Seen, part: str) -> float:
        """The estimate."""
        return kernel_distance(seen.real[part], features, self.seed)


def kernel_distance(a: np.ndarray, b: np.ndarray, seed: int, *, subsets: int = 100, size: int = 1000) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy of features a (N, D) and b (M, D).

    Binkowski et al., Demystifying MMD GANs (2018): kernel k(x, y) = (x.y / D + 1)^3, the mean over subsets of
    `size` rows, or of as many as the smaller set has. Being unbiased, it may be below 0. Features may be
    memory-mapped: only a subset is read at a time.
    ValueError: fewer than 2 rows, dimensions that differ, no subset, a feature that is not finite.
    """
    import numpy as np

    from guidance_study.support.randomness import generator

    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"There are features of shape {a.shape} and {b.shape}: both are (rows, dimension).")
    size = min(size, len(a), len(b))
    if size < 2 or subsets < 1:
        raise ValueError(f"There are {subsets} subsets of {size} rows: at least 1 subset of at least 2 rows is needed.")
    found = []
    for i in range(subsets):
        source = generator(seed, "kernel_distance", i)
        x, y = (_drawn(source, features, size) for features in (a, b))
        found.append(_discrepancy(x, y))
    if not np.isfinite(found).all():
        raise ValueError("A feature is not finite.")
    return float(np.mean(found))


def _drawn(source: np.random.Generator, features: np.ndarray, size: int) -> np.ndarray:
    """`size` different rows, (size, D) float64; in the file's order, which a memory map reads faster."""
    import numpy as np

    rows = np.sort(source.choice(len(features), size, replace=False))
    return np.asarray(features[rows], dtype=np.float64)


def _discrepancy(x: np.ndarray, y: np.ndarray) -> float:
    """MMD^2_u = sum_{i != j} (k(x_i, x_j) + k(y_i, y_j)) / (m (m - 1)) - 2 mean_{i, j} k(x_i, y_j); x, y (m, D)."""
    m = len(x)
    within = sum(kernel.sum() - kernel.trace() for kernel in (_kernel(x, x), _kernel(y, y)))
    return within / (m * (m - 1)) - 2 * _kernel(x, y).mean()


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3
