"""Stage `neighbours`: the k nearest real samples of the same class, for every generation of a pool (Eq. 9's NN)."""

import numpy as np

from guidance_study import blas
from guidance_study.config import seams
from guidance_study.jobs import Input, Job
from guidance_study.neighbours import Neighbours, class_neighbours
from guidance_study.progress import log


def nearest(samples: np.ndarray, labels: np.ndarray, dataset: Input, embedding: dict, k: int, embedder) -> Neighbours:
    """Neighbours of `samples` among the training data of their class, in an embedding (recipe parameters)."""
    spec = seams.parse("embeddings", embedding)
    bank = np.load(dataset.path / "train.npy", mmap_mode="r")
    bank_labels = np.load(dataset.path / "train_labels.npy")
    return class_neighbours(spec.embed(samples, embedder), labels, spec.embed(bank, embedder), bank_labels, k)


def loaded(embedder: Input | None):
    """The network of an embedding that has one; torch is imported only then, for it takes longer than a search."""
    if embedder is None:
        return None
    from guidance_study.models import load_classifier, set_up

    set_up()
    return load_classifier(embedder)


def make(job: Job) -> None:
    """Files: index.npy (n, k) int64 into the training data, nearest first; distance.npy (n, k) float64."""
    pool = job.inputs["samples"].path
    embedder = loaded(job.inputs.get("embedder"))
    log(f"BLAS cores in use: {blas.cores_in_use()}")
    found = nearest(
        np.load(pool / "samples.npy", mmap_mode="r"), np.load(pool / "labels.npy"), job.inputs["dataset"],
        job.params["embedding"], job.params["k"], embedder,
    )  # fmt: skip
    np.save(job.out / "index.npy", found.index)
    np.save(job.out / "distance.npy", found.distance)
    job.facts["mean_distance"] = float(found.distance.mean())
