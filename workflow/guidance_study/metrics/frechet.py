"""The Frechet distance between two Gaussians fitted to features: FID, when the features are Inception's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, ImageMetric, Row

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Images, RealImages, Seen

_BLOCK = 2**23  # values converted to float64 at once: 64 MiB


class Frechet(ImageMetric):
    """The Frechet distance in every space, and where the evaluation says so for every class."""

    kind: Literal["frechet"]
    per_class: bool = False
    columns = (Column("frechet", "Fréchet distance", digits=2),)
    meaning = "Fréchet distances compare only within one space, or one such network, and one sample size."

    def compare(self, features: np.ndarray, seen: Seen, part: str) -> float:
        """Squared, as FID."""
        return frechet_distance(Gaussian.of(features), seen.gaussian[part])

    def measure(self, one: Images, real: RealImages) -> Iterator[Row]:
        """The overall distances, then those of the classes."""
        import numpy as np

        yield from super().measure(one, real)
        for seen in real.spaces if self.per_class else []:
            features = np.asarray(one.features[seen.name])
            for part in one.references:
                for label in np.unique(one.labels):
                    distance = frechet_distance(Gaussian.of(features[one.labels == label]), seen.of_class(part, label))
                    yield Row("frechet", distance, seen.name, part, int(label))


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A mean and a covariance in float64: all that the distance needs to know of a set of features.

    ValueError: shapes that do not fit, values that are not finite.
    """

    mean: np.ndarray  # (D,)
    covariance: np.ndarray  # (D, D)
    factor: np.ndarray | None = None  # (D, N) with factor factor^T = covariance, of fewer rows N than dimensions

    def __post_init__(self) -> None:
        import numpy as np

        if self.mean.ndim != 1 or self.covariance.shape != 2 * self.mean.shape:
            shapes = f"mean of shape {self.mean.shape} and a covariance of shape {self.covariance.shape}"
            raise ValueError(f"There is a {shapes}: they are (D,) and (D, D).")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ValueError("The mean or the covariance of the features has a value that is not finite.")

    @staticmethod
    def of(features: np.ndarray) -> Gaussian:
        """Mean and unbiased covariance (as numpy.cov) of features (N, D), in memory or memory-mapped.

        ValueError: fewer than 2 rows, another shape, a feature that is not finite.
        """
        import numpy as np

        features = np.asarray(features)
        if features.ndim != 2 or len(features) < 2 or not features.shape[1]:
            raise ValueError(f"Features of shape {features.shape} have no covariance: they are (N, D), N at least 2.")
        count, dim = features.shape
        step = max(_BLOCK // dim, 1)
        blocks = [features[start : start + step] for start in range(0, count, step)]  # views
        mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks) / count
        if count <= dim:
            factor = np.subtract(features, mean, dtype=np.float64).T / np.sqrt(count - 1)
            return Gaussian(mean, factor @ factor.T, factor)
        scatter = np.zeros((dim, dim))
        for block in blocks:
            scatter += _scatter(block, mean)
        return Gaussian(mean, scatter / (count - 1))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """d^2 = |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2): squared, as FID reports it.

    Dowson & Landau, The Frechet distance between multivariate normal distributions (1982); Heusel et al.,
    GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (2017). Covariances may
    be rank-deficient. The unit is that of the features, squared.
    ValueError: dimensions that differ.
    """
    import numpy as np

    if a.mean.shape != b.mean.shape:
        raise ValueError(f"A Gaussian of {len(a.mean)} dimensions has no distance to one of {len(b.mean)}.")
    # With S_a = F F^T, the matrix F^T S_b F has the non-zero eigenvalues of S_a^1/2 S_b S_a^1/2. It is
    # symmetric, and so its eigenvalues are found many times faster than the root of the unsymmetric S_a S_b.
    # An eigenvalue of 0 may come out as 1e-16 of the largest, its root as 1e-8 of that root: harmless.
    if a.factor is None and b.factor is not None:
        a, b = b, a
    factor = _factor(a.covariance) if a.factor is None else a.factor
    inner = np.linalg.eigvalsh(factor.T @ b.covariance @ factor)
    cross = np.sqrt(np.clip(inner, 0, None)).sum()
    gap = a.mean - b.mean
    squared = gap @ gap + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
    return max(float(squared), 0.0)  # equal Gaussians may round to below 0


def _scatter(block: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sum of (x - mean)(x - mean)^T over the rows, (D, D) float64; its copy of the block ends with the call."""
    import numpy as np

    centred = np.subtract(block, mean, dtype=np.float64)
    return centred.T @ centred


def _factor(covariance: np.ndarray) -> np.ndarray:
    """F (D, rank) with F F^T = covariance: its Cholesky factor, or where it has no full rank, from eigenvalues.

    Eigenvalues within rounding of 0 are left out: the root of an error of 1e-16 would count as 1e-8, D times.
    """
    import numpy as np

    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        kept = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0)
        return vectors[:, kept] * np.sqrt(values[kept])
