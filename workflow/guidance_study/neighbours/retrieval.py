"""Neighbours of generations in a neighbour space, and the retrieval control that is made of them.

What a job is told of a space, `{"embedding", "k"}`, and its inputs `features<at>/...` or `embedder<at>`, come from
`plan.Plan`. torch is imported only where a network is needed, for that takes longer than a search.
"""

import numpy as np

from guidance_study.config import seams
from guidance_study.execution.job import Job
from guidance_study.neighbours.search import Neighbours, class_neighbours
from guidance_study.support.randomness import uniform
from guidance_study.support.reading import read_array


class Space:
    """One neighbour space: features of the training data, and the search for a generation's neighbours."""

    def __init__(self, job: Job, space: dict, at: str = ""):
        self.job, self.at = job, at
        self.k = space["k"]
        self.embedding = seams.parse("embeddings", space["embedding"])
        dataset = job.inputs["dataset"].path
        self.labels = read_array(dataset / "train_labels.npy")
        if self.embedding.stored:
            self.bank = self._stored("train")
        else:
            self.network = self._network()
            self.bank = self.embedding.embed(read_array(dataset / "train.npy", mmap_mode="r"), self.network)

    def neighbours(self, samples: np.ndarray, labels: np.ndarray, k: int | None = None) -> Neighbours:
        """The k nearest training samples of the same class, Eq. (9)'s NN; k is the space's where none is given.

        `samples` (n, *shape) are those of the job's input of that name where features are stored, else any.
        """
        return class_neighbours(self.queries(samples), labels, self.bank, self.labels, k or self.k)

    def queries(self, samples: np.ndarray) -> np.ndarray:
        """Features (n, D) of generations; where features are stored, of the job's input."""
        return self._stored("samples") if self.embedding.stored else self.embedding.embed(samples, self.network)

    def _stored(self, part: str) -> np.ndarray:
        return read_array(self.job.inputs[f"features{self.at}/{part}"].path / "features.npy", mmap_mode="r")

    def _network(self):
        source = self.job.inputs.get(f"embedder{self.at}")
        if source is None:
            return None
        from guidance_study.networks.models import load_classifier, set_up

        set_up()
        return load_classifier(source)


def retrieved(index: np.ndarray, seed: int) -> np.ndarray:
    """The retrieval control: in each generation's place a random one of its neighbours, rows (n,) of the real data.

    index (n, k). The draw is one uniform number a generation, the same for every arm.
    """
    which = (uniform(seed, "retrieval", 0, len(index)) * index.shape[1]).astype(np.int64)
    return index[np.arange(len(index)), which]
