"""How far trajectories are from straight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, PathMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.paths import Trajectories


class Bend(PathMetric):
    """Length of a trajectory over its chord."""

    kind: Literal["bend"]
    columns = (Column("bend", "bend", digits=2),)
    meaning = "Bend: length of a trajectory over its chord, the median."

    def of_paths(self, one: Trajectories) -> float:
        """The median; 1 is straight."""
        return bend(one.paths)


def bend(paths: np.ndarray) -> float:
    """Length of a path over its chord, the median over paths (frames, N, d); 1 is straight."""
    import numpy as np

    length = np.linalg.norm(np.diff(paths, axis=0), axis=2).sum(0)
    chord = np.linalg.norm(paths[-1] - paths[0], axis=1)
    return float(np.median(length / np.maximum(chord, np.finfo(float).tiny)))
