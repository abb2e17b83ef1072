"""Are the samples that lie far from real data those near the boundary? (paper, Sec. 3.4)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from guidance_study.metrics import Column, Metric, Row
from guidance_study.metrics.ranks import within_class


class OffSupport(Metric):
    """How far samples are off the data, and its rank correlation within classes with their distance to the boundary.

    Of points the Mahalanobis distance to the nearest Gaussian of the class; of images the distance to the nearest
    training image of the class over that image's own distance to the nearest other one.
    """

    kind: Literal["off_support"]
    of = ("images", "points")
    judged = ("margin_rho",)
    states = ("real", "before", "after", "real_after")
    columns = (
        Column("off_support", "off the data", digits=2),
        Column("margin_rho", "rank correlation of margin and distance off the data"),
    )
    meaning = (
        "Off the data: of points the Mahalanobis distance to the nearest Gaussian of the class, of images the distance"
        " to the nearest training image of the class over the distance of that one to its nearest; the rank correlation"
        " with the margin is taken within classes and averaged."
    )

    def measure(self, one: Any, real: Any) -> Iterator[Row]:
        """Both; the correlation for each judge."""
        off = real.off(one)
        yield Row("off_support", float(off.mean()))
        for judge in real.judges:
            yield Row("margin_rho", within_class(one.margin(judge), off, one.labels), judge.name)
