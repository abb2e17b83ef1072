"""Real data that nothing learns from, in the generations' place."""

import numpy as np

from guidance_study.datasets import spec_of
from guidance_study.execution.job import Input
from guidance_study.support.reading import read_array


def real_sample(dataset: Input, of: dict) -> tuple[np.ndarray, np.ndarray]:
    """At most `of["n"]` real samples (n, *shape) float32 and their labels (n,): fresh points, or held-out images."""
    if of["part"] == "fresh":
        return fresh(dataset, of["n"])
    images = read_array(dataset.path / "held_out.npy", mmap_mode="r")
    rows = np.unique(np.linspace(0, len(images) - 1, min(of["n"], len(images))).round().astype(np.int64))
    return np.array(images[rows]), read_array(dataset.path / "held_out_labels.npy")[rows]


def fresh(dataset: Input, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n new points of the mixture, neither trained on nor held out, float32, and their labels, classes in turn."""
    spec = spec_of(dataset)
    labels = np.arange(n) % spec.parts().classes
    x = np.empty((n, *spec.parts().shape), dtype=np.float32)
    for label in range(spec.parts().classes):
        mine = labels == label
        x[mine] = spec.draw("fresh", label, int(mine.sum()))
    return x, labels
