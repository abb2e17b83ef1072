"""Stage `neighbours`: the k nearest real samples of the same class, for every generation of a pool (Eq. 9's NN)."""

import numpy as np

from guidance_study.execution import blas
from guidance_study.execution.job import Job
from guidance_study.neighbours.retrieval import Space
from guidance_study.support.progress import log


def make(job: Job) -> None:
    """Files: index.npy (n, k) int64 into the training data, nearest first; distance.npy (n, k) float64."""
    pool = job.inputs["samples"].path
    space = Space(job, job.params)
    log(f"BLAS cores in use: {blas.cores_in_use()}")
    samples, labels = np.load(pool / "samples.npy", mmap_mode="r"), np.load(pool / "labels.npy")
    found = space.neighbours(samples, labels)
    np.save(job.out / "index.npy", found.index)
    np.save(job.out / "distance.npy", found.distance)
    job.facts["mean_distance"] = float(found.distance.mean())
