"""How many different samples a set amounts to, whatever the real data are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, Metric, Row

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Images, RealImages


class Vendi(Metric):
    """The Vendi score in every space, and its mean within classes; real images have one too."""

    kind: Literal["vendi"]
    of = ("images",)
    columns = (Column("vendi", "Vendi score", digits=2), Column("vendi_within", "Vendi score within classes", digits=2))
    meaning = "Vendi score: the effective number of different images, by the cosines of their features."

    @classmethod
    def seen_in(cls, column: str, judges: list[str], spaces: list[str]) -> list[str]:
        """Every one."""
        return [*judges, *spaces]

    def measure(self, one: Images, real: RealImages) -> Iterator[Row]:
        """Two rows for each space."""
        import numpy as np

        for seen in real.spaces:
            features = np.asarray(one.features[seen.name])
            classes = [vendi(features[one.labels == label]) for label in np.unique(one.labels)]
            yield Row("vendi", vendi(features), seen.name)
            yield Row("vendi_within", float(np.mean(classes)), seen.name)


def vendi(features: np.ndarray) -> float:
    """exp(-sum_i l_i log l_i), l_i the eigenvalues of K / n with K_ij the cosine of rows i and j of features (n, D).

    From 1, all rows in one direction, to n, or D if that is less. Friedman & Dieng, The Vendi Score (2023). A row of
    zeros has no direction and is left out. ValueError: no other row, or a feature that is not finite.
    """
    import numpy as np

    x = np.asarray(features, dtype=np.float64)
    lengths = np.linalg.norm(x, axis=1)
    x = x[lengths > 0] / lengths[lengths > 0, None]
    if not len(x) or not np.isfinite(x).all():
        raise ValueError(f"Features of shape {features.shape} have no directions: all are zero, or some not finite.")
    product = x.T @ x if x.shape[1] < len(x) else x @ x.T  # of the same non-zero eigenvalues
    values = np.linalg.eigvalsh(product / len(x))
    values = values[values > 0]
    return float(np.exp(-(values * np.log(values)).sum()))
