"""What a flow moves, how far, and whether away from the boundary (paper, Sec. 3.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from guidance_study.metrics import Column, Metric, Row
from guidance_study.metrics.ranks import within_class

if TYPE_CHECKING:
    import numpy as np

LOWEST = 0.1  # the share of samples of the smallest margins that is looked at apart (our guess)


class Movement(Metric):
    """Displacement by a flow, its rank correlation with the margin before, and what it does to margins.

    The lowest tenth is chosen by another judge than the one that measures, where there are two: chosen by the same,
    its margins would rise by regression to the mean alone.
    """

    kind: Literal["movement"]
    of = ("images", "points")
    judged = ("displacement_rho", "margin_gain", "margin_gain_low")
    states = ("after", "real_after")
    columns = (
        Column("displacement", "moved by"),
        Column("displacement_rho", "rank correlation of margin and displacement"),
        Column("margin_gain", "margin gained"),
        Column("margin_gain_low", "margin gained, lowest tenth"),
    )
    meaning = (
        "Moved by: mean distance between a sample and where the flow takes it; the rank correlation is with the margin"
        " before, within classes and averaged. Margin gained: after less before, of all and of the tenth of smallest"
        " margins before, chosen by another judge where there are two."
    )

    def measure(self, one: Any, real: Any) -> Iterator[Row]:
        """All four; what needs a margin for each judge."""
        import numpy as np

        moved = np.linalg.norm(one.flat - one.before.flat, axis=1)
        yield Row("displacement", float(moved.mean()))
        judges = list(real.judges)
        before, after = ([of.margin(judge) for judge in judges] for of in (one.before, one))
        for i, judge in enumerate(judges):
            name, gain = judge.name, after[i] - before[i]
            chosen = lowest(before[(i + 1) % len(judges)], one.labels)
            yield Row("displacement_rho", within_class(before[i], moved, one.labels), name)
            yield Row("margin_gain", float(gain.mean()), name)
            yield Row("margin_gain_low", float(gain[chosen].mean()), name)


def lowest(margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which (n,) bool are the tenth of the smallest margins of each class."""
    from guidance_study.neighbours.targets import lowest as of_groups

    return of_groups(margins, labels, LOWEST)
