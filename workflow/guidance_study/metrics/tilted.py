"""How far guided points are from what guidance is often said to sample: p(x | c) p(c | x)^(s - 1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, Metric, Row

if TYPE_CHECKING:
    from guidance_study.metrics.sets.points import RealPoints
    from guidance_study.metrics.sets.trajectories import Trajectories


class Tilted(Metric):
    """W1 to the tilted target: of guided ends, of real points cut to their margin, of unguided ends, resampled and not.

    The target is held-out points of the class, each with the weight p(c | x)^(s - 1) at which rejection would keep it.
    """

    kind: Literal["tilted"]
    of = ("trajectories",)
    columns = (
        Column("tilted", "guided to tilted"),
        Column("tilted_cut", "cut data to tilted"),
        Column("tilted_resampled", "resampled to tilted"),
        Column("tilted_unguided", "unguided to tilted"),
    )
    meaning = (
        "To tilted: W1 to p(x|c) p(c|x)^(s - 1), held-out points of the class weighted so; of guided ends, of held-out"
        " points without those nearest to the boundary, so many that their mean distance to it is that of the guided"
        " ends, and of the run's ends at scale 1, resampled with these weights or as they are. The mean over classes."
    )

    def measure(self, one: Trajectories, real: RealPoints) -> Iterator[Row]:
        """All four; of a run without scale 1 the first two."""
        import numpy as np

        from guidance_study.metrics.truncation import truncated
        from guidance_study.metrics.wasserstein import projected, wasserstein

        unguided = one.unguided
        found: dict[str, list[float]] = {}
        for label in range(real.classes):
            there, guided = real.of_class(label), one.x[one.labels == label]
            distance = lambda x, label=label: real.boundary.distance(x, np.full(len(x), label))  # noqa: E731
            sides = {"tilted": (guided, None)}
            sides["tilted_cut"] = (there[truncated(distance(there), float(distance(guided).mean()))], None)
            if unguided is not None:
                start = unguided[one.labels == label]
                sides["tilted_resampled"] = (start, self._weights(start, real, label, one.scale))
                sides["tilted_unguided"] = (start, None)
            weights = self._weights(there, real, label, one.scale)
            for name, (x, of) in sides.items():
                found.setdefault(name, []).append(wasserstein(projected(x), projected(there), of, weights))
        yield from (Row(name, float(np.mean(values))) for name, values in found.items())

    @staticmethod
    def _weights(x, real: RealPoints, label: int, scale: float):
        """p(c | x)^(s - 1), (n,)."""
        import torch

        return (real.oracle.posterior(torch.from_numpy(x))[:, label] ** (scale - 1)).numpy()
