"""How many different real points a flow learns towards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, Metric, Row

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import RealPoints, Targets


class EffectiveTargets(Metric):
    """Effective sample size of Eq. (9)'s targets, relative to that of real points in the generations' place."""

    kind: Literal["effective_targets"]
    of = ("points",)
    states = ("targets",)
    columns = (Column("effective_targets", "effective targets"),)
    meaning = (
        "Effective targets: effective sample size of Eq. (9)'s targets, relative to real points in the place of the"
        " generations."
    )

    def measure(self, one: Targets, real: RealPoints) -> Iterator[Row]:
        """One row, for all classes."""
        share = effective_share(one.index, one.labels) / effective_share(one.real_index, one.real_labels)
        yield Row("effective_targets", float(share))


def effective_share(index: np.ndarray, labels: np.ndarray) -> float:
    """Effective sample size 1 / sum w_j^2 of neighbour targets over the number of points, the mean over classes.

    index (N, k): rows of the real data; w_j is the share of a class's targets that fall on row j.
    """
    import numpy as np

    shares = []
    for label in np.unique(labels):
        counts = np.unique(index[labels == label], return_counts=True)[1]
        weights = counts / counts.sum()
        shares.append(1 / np.square(weights).sum() / (labels == label).sum())
    return float(np.mean(shares))
