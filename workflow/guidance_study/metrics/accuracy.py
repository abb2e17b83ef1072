"""How often the evaluation classifier's class is right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, Metric, Row

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Images, RealImages


class Accuracy(Metric):
    """The share of images that the evaluation classifier takes for their class."""

    kind: Literal["accuracy"]
    of = ("images",)
    judged = ("accuracy",)
    columns = (Column("accuracy", "accuracy"),)

    def measure(self, one: Images, real: RealImages) -> Iterator[Row]:
        """One row for each judge."""
        for seen in real.judges:
            yield Row("accuracy", accuracy(seen.guesses(one.features[seen.name]), one.labels), seen.name)


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The share, 0 to 1, of samples whose predicted class (N,) is their label (N,).

    ValueError: no samples, shapes that differ.
    """
    import numpy as np

    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if labels.ndim != 1 or predicted.shape != labels.shape or not len(labels):
        shapes = f"predictions of shape {predicted.shape} and labels of shape {labels.shape}"
        raise ValueError(f"There are {shapes}: both are (N,), with N at least 1.")
    return float((predicted == labels).mean())
