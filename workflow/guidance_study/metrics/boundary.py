"""How far points are from the decision boundary, on the side of their class or on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, PointMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import Points, RealPoints

NEAR = 0.1  # the share of points nearer than this to the boundary, on either side, is told (our guess)


class BoundaryDistance(PointMetric):
    """Signed distance to the decision boundary of the mixture: mean, 5 % quantile, share near it; or of ends."""

    kind: Literal["boundary"]
    of = ("points", "trajectories")
    states = ("real", "before", "after", "retrieval", "real_after", None)
    columns = (
        Column("boundary", "distance to boundary"),
        Column("boundary_05", "distance to boundary, 5 %"),
        Column("boundary_near", f"within {NEAR:g} of boundary"),
    )
    meaning = (
        "Distance to boundary: to where the mixture's exact posterior on clean data is 1/2 (sought within 6 of 0),"
        " positive on the side of the class and negative on the other; 5 %: its quantile."
    )

    def each(self, one: Points, real: RealPoints) -> np.ndarray:
        """Signed distances (n,)."""
        return one.margin(real.boundary)

    def summary(self, values: np.ndarray) -> dict[str, float]:
        """All three."""
        import numpy as np

        return {
            "boundary": values.mean(),
            "boundary_05": np.quantile(values, 0.05),
            "boundary_near": (np.abs(values) < NEAR).mean(),
        }
