"""How far points are from real ones of their class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, PointMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import Points, RealPoints


class NeighbourDistance(PointMetric):
    """Mean, median and 99 % quantile of the distance to the nearest real point of the class."""

    kind: Literal["neighbour_distance"]
    columns = (
        Column("neighbour_mean", "NN distance, mean", digits=4),
        Column("neighbour_median", "median", digits=4),
        Column("neighbour_99", "99 %", digits=4),
    )
    meaning = "NN distance: to the nearest held-out real point of the same class."

    def each(self, one: Points, real: RealPoints) -> np.ndarray:
        """Distances (n,)."""
        return one.distance

    def summary(self, values: np.ndarray) -> dict[str, float]:
        """All three."""
        import numpy as np

        quantiles = {"neighbour_median": np.median(values), "neighbour_99": np.quantile(values, 0.99)}
        return {"neighbour_mean": values.mean(), **quantiles}


def nearest_real(x: np.ndarray, labels: np.ndarray, real: np.ndarray, real_labels: np.ndarray) -> np.ndarray:
    """Distance of each point (N, d) to the nearest real point of its class, (N,) float64."""
    import numpy as np
    from scipy.spatial import cKDTree

    found = np.empty(len(x))
    for label in np.unique(labels):
        mine = labels == label
        found[mine] = cKDTree(real[real_labels == label]).query(x[mine])[0]
    return found


def spacing(real: np.ndarray) -> np.ndarray:
    """Distance of each point (N, d) to its nearest other one, (N,)."""
    from scipy.spatial import cKDTree

    return cKDTree(real).query(real, 2)[0][:, 1]
