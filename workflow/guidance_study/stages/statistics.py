"""Stage `statistics`: mean and covariance of real images' features, what a Fréchet distance is taken to."""

import numpy as np

from guidance_study.execution.job import Job
from guidance_study.metrics.frechet import Gaussian
from guidance_study.support.reading import read_array


def make(job: Job) -> None:
    """Files: mean.npy (D,), covariance.npy (D, D), float64."""
    gaussian = Gaussian.of(read_array(job.inputs["features"].path / "features.npy", mmap_mode="r"))
    np.save(job.out / "mean.npy", gaussian.mean)
    np.save(job.out / "covariance.npy", gaussian.covariance)
