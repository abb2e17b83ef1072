"""Stage `features`: images in the space of a pretrained network, computed a batch at a time into a memory map."""

import numpy as np

from guidance_study.config import seams
from guidance_study.errors import StudyError
from guidance_study.jobs import Job
from guidance_study.models import batches, set_up
from guidance_study.progress import track

BATCH = 256  # images at a time at most: pretrained networks see them much enlarged


def make(job: Job) -> None:
    """File: features.npy (n, D) float32, in the order of the images."""
    set_up()
    spec = seams.parse("embeddings", job.params["embedding"])
    images = np.load(job.inputs["images"].path / f"{job.params['part']}.npy", mmap_mode="r")
    network, features = spec.network(), None
    ranges = list(batches(len(images), most=BATCH))
    for first, last in track(ranges, len(ranges), "batches of images"):
        found = spec.embed(np.array(images[first:last]), network)
        if not np.isfinite(found).all():
            bad = first + int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
            raise StudyError(f"image {bad} of '{job.inputs['images'].path}' has features that are not finite")
        if features is None:
            shape = (len(images), found.shape[1])
            features = np.lib.format.open_memmap(job.out / "features.npy", "w+", np.float32, shape)
        features[first:last] = found
    features.flush()
    job.facts["dimension"] = int(features.shape[1])
