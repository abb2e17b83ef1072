"""How often a predicted class is right, over all samples and class by class."""

from __future__ import annotations

import numpy as np


def accuracy(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The share, 0 to 1, of samples whose predicted class (N,) is their label (N,).

    ValueError: no samples, shapes that differ.
    """
    return float(_right(predicted, labels).mean())


def accuracy_by_class(predicted: np.ndarray, labels: np.ndarray) -> dict[int, float]:
    """`accuracy` among the samples of each label that occurs, labels ascending."""
    right, labels = _right(predicted, labels), np.asarray(labels)
    return {int(label): float(right[labels == label].mean()) for label in np.unique(labels)}


def _right(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if labels.ndim != 1 or predicted.shape != labels.shape or not len(labels):
        shapes = f"predictions of shape {predicted.shape} and labels of shape {labels.shape}"
        raise ValueError(f"There are {shapes}: both are (N,), with N at least 1.")
    return predicted == labels
