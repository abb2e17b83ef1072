"""How much of the data's variety within classes a set has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from guidance_study.metrics import Column, Metric, Row

if TYPE_CHECKING:
    import numpy as np


class Variance(Metric):
    """Variance within classes, over coordinates or pixels, as a share of the real data's."""

    kind: Literal["variance"]
    of = ("images", "points")
    states = ("real", "before", "after", "retrieval")
    columns = (Column("variance", "variance within classes", digits=2),)
    meaning = (
        "Variance within classes: of coordinates or pixels, summed, averaged over classes, as a share of the same of"
        " real points or training images."
    )

    def measure(self, one: Any, real: Any) -> Iterator[Row]:
        """One row."""
        whole = real.once("variance", lambda: within(real.known.flat, real.known.labels))
        yield Row("variance", within(one.flat, one.labels) / whole)


def within(x: np.ndarray, labels: np.ndarray) -> float:
    """Unbiased variance summed over the coordinates of x (n, D), averaged over classes of two or more."""
    import numpy as np

    classes, counts = np.unique(labels, return_counts=True)
    return float(np.mean([x[labels == c].var(0, ddof=1).sum() for c in classes[counts > 1]]))
