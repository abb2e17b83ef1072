"""How much of guidance is truncation: guided points beside real ones cut to the same mean distance to the boundary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import ClassMetric, Column

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import RealPoints


class Truncation(ClassMetric):
    """Wasserstein distance to real points cut so that their mean margin is the points' own, over that to all."""

    kind: Literal["truncation"]
    states = ("before",)
    columns = (Column("truncation", "to cut data over to data", digits=2),)
    meaning = (
        "To cut data over to data: Wasserstein distance of the generations to real points without those nearest to the"
        " boundary, so many that their mean distance to it is the generations' own or comes nearest to it, over the"
        " distance to all real points."
    )

    def of_class(self, x: np.ndarray, real: RealPoints, label: int) -> float:
        """The ratio; 1 where nothing is to be cut."""
        import numpy as np

        from guidance_study.metrics.wasserstein import projected, wasserstein

        there = real.of_class(label)
        of = lambda points: real.boundary.distance(points, np.full(len(points), label))  # noqa: E731
        cut = truncated(of(there), float(of(x).mean()))
        whole = wasserstein(projected(x), projected(there))
        return float(wasserstein(projected(x), projected(there[cut])) / whole) if whole > 0 else 1.0


def truncated(margins: np.ndarray, wanted: float) -> np.ndarray:
    """Rows of the real points that are left when those of the smallest margins (N,) are cut until the mean is reached.

    All of them where it is reached before. Where not even the largest alone has it, that one: no cut comes nearer.
    """
    import numpy as np

    order = np.argsort(-margins, kind="stable")
    means = np.cumsum(margins[order]) / np.arange(1, len(order) + 1)  # of the n largest: falls with n
    return order[: max(1, int(np.searchsorted(-means, -wanted, side="right")))]
