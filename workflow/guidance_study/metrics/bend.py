"""How far trajectories are from straight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, TrajectoryMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.trajectories import Trajectories


class Bend(TrajectoryMetric):
    """Length of a trajectory over its chord."""

    kind: Literal["bend"]
    columns = (Column("bend", "bend", digits=2),)
    meaning = "Bend: length of a trajectory over its chord, the median."

    def of_trajectories(self, one: Trajectories) -> float:
        """The median; 1 is straight."""
        return bend(one.trajectories)


def bend(trajectories: np.ndarray) -> float:
    """Length of a path over its chord, the median over trajectories (frames, N, d); 1 is straight."""
    import numpy as np

    length = np.linalg.norm(np.diff(trajectories, axis=0), axis=2).sum(0)
    chord = np.linalg.norm(trajectories[-1] - trajectories[0], axis=1)
    return float(np.median(length / np.maximum(chord, np.finfo(float).tiny)))
