"""How much nearer to real points postprocessing brings the worst ones, and all: a cell of Tab. 1, as we read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, PointMetric

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.points import Points, RealPoints

WORST = {"ratio_1": 0.01, "ratio_10": 0.1, "ratio_all": 1.0}  # the three numbers of a cell


class Ratios(PointMetric):
    """Mean distance to the nearest real point before over after, of the worst points by the distance before."""

    kind: Literal["ratios"]
    states = ("after", "retrieval", "redraw")
    columns = (
        Column("ratio_1", "ratio, worst 1 %", digits=2),
        Column("ratio_10", "ratio, worst 10 %", digits=2),
        Column("ratio_all", "ratio, all", digits=2),
    )
    meaning = (
        "Ratio: mean distance to the nearest real point of the class, before over after, of the worst 1 % / worst 10 %"
        " / all generations, the worst by the distance before; with another generation of the class in each one's place"
        " too, which does to the worst what regression to the mean does."
    )

    def each(self, one: Points, real: RealPoints) -> np.ndarray:
        """Distances before and after (n, 2)."""
        import numpy as np

        return np.stack([(one.before or one).distance, one.distance], 1)

    def summary(self, values: np.ndarray) -> dict[str, float]:
        """All three."""
        before, after = values.T
        return {name: worst_ratio(before, after, share) for name, share in WORST.items()}


def worst_ratio(before: np.ndarray, after: np.ndarray, share: float) -> float:
    """Mean distance before over after, of the worst share by the distance BEFORE (our reading of Tab. 1)."""
    import numpy as np

    worst = np.argsort(-before, kind="stable")[: max(1, round(share * len(before)))]
    return float(before[worst].mean() / after[worst].mean())
