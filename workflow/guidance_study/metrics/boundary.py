"""How far points are from the decision boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, PointMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import Points, RealPoints


class BoundaryDistance(PointMetric):
    """Distance to the decision boundary of the mixture; of trajectories, that of their ends."""

    kind: Literal["boundary"]
    of = ("points", "trajectories")
    columns = (Column("boundary", "distance to boundary"),)
    meaning = (
        "Distance to boundary: to where the mixture's exact posterior on clean data is 1/2 (sought within 6 of 0)."
    )

    def each(self, one: Points, real: RealPoints) -> np.ndarray:
        """Distances (n,)."""
        return real.boundary.distance(one.x)
