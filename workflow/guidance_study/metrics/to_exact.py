"""How far trajectories are from the exact conditional ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, TrajectoryMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.trajectories import Trajectories


class ToExact(TrajectoryMetric):
    """RMS distance, over all times, to the trajectories of the run `reference` at scale 1, from the same noises."""

    kind: Literal["to_exact"]
    reference: str
    columns = (Column("to_exact", "RMS to exact"),)
    meaning = "RMS to exact: over all times, to the exact conditional trajectory (scale 1) from the same noise."

    def of_trajectories(self, one: Trajectories) -> float | None:
        """None for a run of its own number of steps, whose times are others than the exact trajectory's."""
        return None if one.own_steps else rms(one.trajectories, one.all.of(self.reference, 1.0))


def rms(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square Euclidean distance between two arrays of points (..., d)."""
    import numpy as np

    return float(np.sqrt(np.square(a - b).sum(-1).mean()))
