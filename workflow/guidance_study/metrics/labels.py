"""How often a predicted class is right."""

from __future__ import annotations

import numpy as np


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The share, 0 to 1, of samples whose predicted class (N,) is their label (N,).

    ValueError: no samples, shapes that differ.
    """
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if labels.ndim != 1 or predicted.shape != labels.shape or not len(labels):
        shapes = f"predictions of shape {predicted.shape} and labels of shape {labels.shape}"
        raise ValueError(f"There are {shapes}: both are (N,), with N at least 1.")
    return float((predicted == labels).mean())
