"""Stage `neighbours`: the real samples of its class that every generation of a pool moves to (Eq. 9's NN)."""

import numpy as np

from guidance_study.execution import blas
from guidance_study.execution.job import Job
from guidance_study.neighbours import targets
from guidance_study.neighbours.retrieval import Space
from guidance_study.neighbours.search import Neighbours
from guidance_study.support.progress import log
from guidance_study.support.reading import read_array


def make(job: Job) -> None:
    """Files: index.npy (n, k) int64 into the training data, nearest first; distance.npy (n, k) float64."""
    pool = job.inputs["samples"].path
    space = Space(job, job.params)
    log(f"BLAS cores in use: {blas.cores_in_use()}")
    samples, labels = read_array(pool / "samples.npy", mmap_mode="r"), read_array(pool / "labels.npy")
    found = _found(job, space, samples, labels)
    np.save(job.out / "index.npy", found.index)
    np.save(job.out / "distance.npy", found.distance)
    job.facts["mean_distance"] = float(found.distance.mean())


def _found(job: Job, space: Space, samples: np.ndarray, labels: np.ndarray) -> Neighbours:
    """The nearest, or what a control has in their place."""
    if job.params["targets"] == "nearest":
        return space.neighbours(samples, labels)
    index = _controls(job, space, samples, labels)
    return targets.at_distances(space.queries(samples), space.bank, index)


def _controls(job: Job, space: Space, samples: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows (n, k) of the training data that a control moves to."""
    kind, k = job.params["targets"], job.params["k"]
    if kind == "random":
        return targets.random_targets(labels, space.labels, k, job.params["seed"])
    fewest = np.bincount(space.labels)[np.unique(labels)].min()
    near = space.neighbours(samples, labels, min(k * targets.WIDER[kind], int(fewest)))
    if kind == "balanced":
        return targets.balanced_targets(near, labels, space.labels, k)
    from guidance_study.metrics.sets.choice import margins

    real = read_array(job.inputs["dataset"].path / "train.npy", mmap_mode="r")
    return targets.by_boundary(near, margins(job, real, space.labels), kind == "near_boundary")
