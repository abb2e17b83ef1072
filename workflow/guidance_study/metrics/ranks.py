"""Rank correlation within classes: what metrics of relations share. Defines no metric."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def within_class(x: np.ndarray, y: np.ndarray, labels: np.ndarray) -> float:
    """Spearman's rank correlation of x and y (n,) within each class, averaged over classes of three or more.

    NaN where no class has both varying.
    """
    import numpy as np
    from scipy.stats import rankdata

    found = []
    for label in np.unique(labels):
        a, b = (rankdata(values[labels == label]) for values in (x, y))
        if len(a) > 2 and a.std() > 0 and b.std() > 0:
            found.append(float(np.corrcoef(a, b)[0, 1]))
    return float(np.mean(found)) if found else float("nan")
