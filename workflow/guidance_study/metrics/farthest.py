"""How far the farthest trajectory ends from the data's mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, TrajectoryMetric

if TYPE_CHECKING:
    from guidance_study.metrics.sets.trajectories import Trajectories


class Farthest(TrajectoryMetric):
    """The largest distance of an end from 0, the mean of data that were standardised."""

    kind: Literal["farthest"]
    columns = (Column("farthest", "farthest point", digits=1),)
    meaning = "Farthest point: the largest distance of a generation from the data's mean; data reach to about 3."

    def of_trajectories(self, one: Trajectories) -> float:
        """In the unit of the points."""
        import numpy as np

        return float(np.linalg.norm(one.x, axis=1).max())
