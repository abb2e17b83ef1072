"""How far the distribution of points is from that of real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import ClassMetric, Column

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import RealPoints

DIRECTIONS = 32  # of the sliced distance


class Wasserstein(ClassMetric):
    """W1 to real points, class by class; of trajectories, that of their ends."""

    kind: Literal["wasserstein"]
    of = ("points", "trajectories")
    columns = (Column("wasserstein", "Wasserstein"),)
    meaning = "Wasserstein: W1 to held-out points of the class, sliced in the plane, the mean over classes."

    def of_class(self, x: np.ndarray, real: RealPoints, label: int) -> float:
        """In the unit of the points."""
        reference = real.once(f"projected/{label}", lambda: projected(real.of_class(label)))
        return wasserstein(projected(x), reference)


def projected(x: np.ndarray) -> np.ndarray:
    """Projections (directions, N) of points (N, d): on a line the points, else on fixed even directions."""
    import numpy as np

    if x.shape[1] == 1:
        return x.T
    angle = (np.arange(DIRECTIONS) + 0.5) * np.pi / DIRECTIONS
    return np.stack([np.cos(angle), np.sin(angle)], 1) @ x.T


def wasserstein(
    x: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None, others: np.ndarray | None = None
) -> float:
    """W1 between two samples, `projected`: on a line itself; in the plane sliced, the mean over the directions.

    weights, others: of the points of each, (N,), up to a factor; None: all alike.
    """
    import numpy as np
    from scipy.stats import wasserstein_distance

    pairs = zip(x, reference, strict=True)
    return float(np.mean([wasserstein_distance(a, b, weights, others) for a, b in pairs]))
