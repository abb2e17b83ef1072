"""Are the samples that lie far from real data those near the boundary? (paper, Sec. 3.4)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from guidance_study.metrics import Column, Metric, Row
from guidance_study.metrics.ranks import within_class

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Images, RealImages
    from guidance_study.metrics.sets.points import Points, RealPoints


class OffSupport(Metric):
    """How far samples are off the data, and its rank correlation within classes with their distance to the boundary.

    Of points the Mahalanobis distance to the nearest Gaussian of the class; of images the distance to the nearest
    training image of the class over that image's own distance to the nearest other one.
    """

    kind: Literal["off_support"]
    of = ("images", "points")
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
        """Both; of images for each judge."""
        off = real_off(one, real) if hasattr(real, "judges") else mahalanobis(one, real)
        yield Row("off_support", float(off.mean()))
        if hasattr(real, "judges"):
            for judge in real.judges:
                yield Row("margin_rho", within_class(one.margin(judge), off, one.labels), judge.name)
        else:
            yield Row("margin_rho", within_class(one.margin, off, one.labels))


def real_off(one: Images, real: RealImages) -> np.ndarray:
    """Distance of each image to the nearest training image of its class, over that one's to its nearest, (n,)."""
    import numpy as np

    from guidance_study.neighbours.search import class_neighbours

    bank = np.asarray(real.images["train"]).reshape(len(real.images["train"]), -1)
    labels = real.labels["train"]
    spacing = real.once("spacing", lambda: class_neighbours(bank, labels, bank, labels, 2).distance[:, 1])
    found = class_neighbours(np.asarray(one.images).reshape(len(one.images), -1), one.labels, bank, labels, 1)
    return found.distance[:, 0] / np.maximum(spacing[found.index[:, 0]], np.finfo(np.float32).eps)


def mahalanobis(one: Points, real: RealPoints) -> np.ndarray:
    """Mahalanobis distance of each point to the nearest Gaussian of its class, (n,)."""
    import numpy as np

    oracle = real.oracle
    means, variances, axes = (part.numpy() for part in (oracle.means, oracle.variances, oracle.axes))
    of, x = oracle.labels.numpy(), np.asarray(one.x, dtype=np.float64)
    found = np.empty(len(x))
    for label in np.unique(one.labels):
        mine = np.flatnonzero(one.labels == label)
        nearest = np.full(len(mine), np.inf)
        for k in np.flatnonzero(of == label):
            along = (x[mine] - means[k]) @ axes[k]
            nearest = np.minimum(nearest, (along**2 / variances[k]).sum(1))
        found[mine] = np.sqrt(nearest)
    return found
