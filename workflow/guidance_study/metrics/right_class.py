"""Whether points are of the class that they were meant to be of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, PointMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.oracle import Oracle
    from guidance_study.metrics.sets.points import Points, RealPoints


class RightClass(PointMetric):
    """The share of points whose most probable class is their label; of trajectories, of their ends."""

    kind: Literal["right_class"]
    of = ("points", "trajectories")
    columns = (Column("right_class", "right class"),)
    meaning = "Right class: by the mixture's exact posterior on clean data."

    def each(self, one: Points, real: RealPoints) -> np.ndarray:
        """Whether it is (n,) bool."""
        return right_class(real.oracle, one.x, one.labels)


def right_class(oracle: Oracle, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the most probable class of each point (N, d) by the exact posterior is its label, (N,) bool."""
    import numpy as np
    import torch

    return oracle.class_logits(torch.from_numpy(np.asarray(x, dtype=np.float64))).argmax(1).numpy() == labels
