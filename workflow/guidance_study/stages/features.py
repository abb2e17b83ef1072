"""Stage `features`: images in the space of a pretrained network, computed a batch at a time into a memory map."""

import numpy as np
import torch

from guidance_study.config import seams
from guidance_study.execution.devices import halving
from guidance_study.execution.job import Job
from guidance_study.execution.sharding import Work, rows
from guidance_study.networks.models import batches, set_up
from guidance_study.support.errors import StudyError
from guidance_study.support.reading import read_array

BATCH = 256  # images at a time at most: pretrained networks see them much enlarged


def work(job: Job) -> Work:
    """The features, a batch of images at a time."""
    set_up()
    spec = seams.parse("embeddings", job.params["embedding"])
    images = read_array(job.inputs["images"].path / f"{job.params['part']}.npy", mmap_mode="r")
    network = spec.network()
    dimension = spec.embed(np.array(images[:1]), network).shape[1]

    def compute(first: int, last: int) -> tuple[np.ndarray, None]:
        embed = lambda a, b: torch.from_numpy(spec.embed(np.array(images[a:b]), network))  # noqa: E731
        found = halving(embed, first, last).numpy()
        if not np.isfinite(found).all():
            bad = first + int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
            raise StudyError(f"image {bad} of '{job.inputs['images'].path}' has features that are not finite")
        return found, None

    return Work("features.npy", (len(images), dimension), list(batches(len(images), most=BATCH)), compute)


def make(job: Job) -> None:
    """File: features.npy (n, D) float32, in the order of the images."""
    rows(job, work)
