"""Stage `dataset`: raw files -> arrays of the training and the held-out part."""

import numpy as np

from guidance_study.config import seams
from guidance_study.jobs import Job


def make(job: Job) -> None:
    """Files: train.npy, held_out.npy (N, *shape) float32; train_labels.npy, held_out_labels.npy (N,) int64."""
    params = {key: value for key, value in job.params.items() if key != "raw"}
    arrays = seams.parse("datasets", params).load()
    for name in ("train", "train_labels", "held_out", "held_out_labels"):
        np.save(job.out / f"{name}.npy", getattr(arrays, name))
    job.facts |= {"train": len(arrays.train), "held_out": len(arrays.held_out)}
