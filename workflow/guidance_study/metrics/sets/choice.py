"""Which generations a control learns from or moves: by margin, by distance from real data, or any."""

import numpy as np

from guidance_study.execution.job import Job
from guidance_study.neighbours.targets import lowest
from guidance_study.support.randomness import uniform

SELECTOR = "selector"  # the role of the classifier by whose margins controls choose


def margins(job: Job, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Signed distances (n,) of samples (n, *shape) to the boundary of their class, positive on its side.

    Of the job's selector to first order, or of the mixture of its dataset.
    """
    if SELECTOR in job.inputs:
        from guidance_study.networks.models import load_classifier, set_up
        from guidance_study.networks.models.margins import first_order

        set_up()
        return first_order(load_classifier(job.inputs[SELECTOR]), x, labels)
    from guidance_study.metrics.oracle import oracle_of
    from guidance_study.metrics.oracle.boundary import Boundary

    return Boundary(oracle_of(job.inputs["dataset"])).distance(x, labels)


def half(job: Job, x: np.ndarray, labels: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The half (n,) bool of a pool, of every class and scale, that a control's flow learns from."""
    which = job.params["half"]
    if which == "random":
        key = uniform(job.params["seed"], "half", 0, len(x))
    else:
        key = margins(job, x, labels) * (1 if which == "low" else -1)
    return lowest(key, _groups(labels, scales), 0.5)


def moved(job: Job, by: dict, x: np.ndarray, labels: np.ndarray, scales: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Which generations (n,) bool a control moves: a share `by["share"]` of every class and scale.

    `far` (n,): how far they are from real data.
    """
    if by["by"] == "margin":
        key = margins(job, x, labels)
    else:
        key = -far if by["by"] == "distance" else uniform(job.params["seed"], "moves", 0, len(x))
    return lowest(key, _groups(labels, scales), by["share"])


def _groups(labels: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """One number for each class and scale."""
    return labels + (labels.max() + 1) * np.unique(scales, return_inverse=True)[1]
