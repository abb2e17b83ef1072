"""Points of a known mixture at every scale: before, after each arm, retrieved, and an arm's targets; real points."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np

from guidance_study.execution.job import Input, Job
from guidance_study.metrics.neighbour_distance import nearest_real
from guidance_study.metrics.oracle import Oracle, oracle_of, spec_of
from guidance_study.metrics.oracle.boundary import Boundary
from guidance_study.metrics.sets import Real
from guidance_study.neighbours.retrieval import Space, retrieved
from guidance_study.networks.models import set_up
from guidance_study.store.rows import scale_of
from guidance_study.support.text import canonical


class RealPoints(Real):
    """Held-out points x (N, d) float64 and their labels, and the mixture in closed form."""

    def __init__(self, dataset: Input):
        super().__init__()
        self.oracle: Oracle = oracle_of(dataset)
        self.classes = self.oracle.classes
        self.x = np.load(dataset.path / "held_out.npy").astype(np.float64)
        self.labels = np.load(dataset.path / "held_out_labels.npy")

    @cached_property
    def boundary(self) -> Boundary:
        return Boundary(self.oracle)

    def of_class(self, label: int) -> np.ndarray:
        """The points of a class."""
        return self.x[self.labels == label]


@dataclass
class Points:
    """Points x (n, d) and their labels; `before`, the same before postprocessing, where these are after it."""

    x: np.ndarray
    labels: np.ndarray
    real: RealPoints
    before: "Points | None" = None

    @cached_property
    def distance(self) -> np.ndarray:
        """To the nearest real point of the class, (n,)."""
        return nearest_real(self.x, self.labels, self.real.x, self.real.labels)


@dataclass(frozen=True)
class Targets:
    """Rows (n, k) of the training data that an arm's flow learns towards; the same for real points in their place."""

    index: np.ndarray
    labels: np.ndarray
    real_index: np.ndarray
    real_labels: np.ndarray


class Sets:
    """The sets of an experiment's points."""

    def __init__(self, job: Job):
        set_up()
        self.job, self.real = job, RealPoints(job.inputs["dataset"])
        source = job.inputs["samples"]
        self.samples, self.labels = np.load(source.path / "samples.npy"), np.load(source.path / "labels.npy")
        self.scale_of, self.scales = scale_of(source.params), source.params["scales"]
        self.about = {"n": int((self.scale_of == self.scales[-1]).sum()), "real": {"held_out": len(self.real.x)}}
        self._searched: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __iter__(self) -> Iterator[tuple[dict, Callable[[], Points | Targets]]]:
        arms = self.job.params["arms"]
        moved = [("after", arm["name"], cache(lambda arm=arm: self._after(arm["name"]))) for arm in arms]
        moved += [("retrieval", arm["name"], cache(lambda arm=arm: self._retrieved(arm))) for arm in arms]
        for scale in self.scales:
            here = self.scale_of == scale
            before = Points(self.samples[here], self.labels[here], self.real)
            yield _said("before", None, scale), partial(_itself, before)
            for state, name, read in moved:
                yield _said(state, name, scale), partial(self._moved, read, here, before)
            for arm in arms:
                yield _said("targets", arm["name"], scale), partial(self._targets, arm, here)
        yield _said("real", None, None), lambda: Points(*self._fresh, self.real)

    def _moved(self, read: Callable[[], np.ndarray], here: np.ndarray, before: Points) -> Points:
        return Points(read()[here], before.labels, self.real, before)

    def _after(self, arm: str) -> np.ndarray:
        return np.load(self.job.inputs[f"postprocessed/{arm}"].path / "samples.npy")

    def _retrieved(self, arm: dict) -> np.ndarray:
        train = np.load(self.job.inputs["dataset"].path / "train.npy")
        return train[retrieved(self._neighbours(arm)[0], self.job.params["seed"])]

    def _targets(self, arm: dict, here: np.ndarray) -> Targets:
        index, real_index = self._neighbours(arm)
        return Targets(index[here], self.labels[here], real_index, self._fresh[1])

    def _neighbours(self, arm: dict) -> tuple[np.ndarray, np.ndarray]:
        """Neighbours of the generations and of fresh points; arms of one space and k share them."""
        embedder = self.job.inputs.get(f"embedder/{arm['name']}")
        key = canonical([arm["embedding"], arm["k"], embedder and embedder.recipe])
        if key not in self._searched:
            space = Space(self.job, arm, f"/{arm['name']}")
            found = space.neighbours(self.samples, self.labels)
            self._searched[key] = found.index, space.neighbours(*self._fresh).index
        return self._searched[key]

    @cached_property
    def _fresh(self) -> tuple[np.ndarray, np.ndarray]:
        return fresh(self.job.inputs["dataset"], len(self.samples) // len(self.scales))


def fresh(dataset: Input, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n new points of the mixture, neither trained on nor held out, float32, and their labels, classes in turn."""
    spec = spec_of(dataset)
    labels = np.arange(n) % spec.parts().classes
    x = np.empty((n, *spec.parts().shape), dtype=np.float32)
    for label in range(spec.parts().classes):
        mine = labels == label
        x[mine] = spec.draw("fresh", label, int(mine.sum()))
    return x, labels


def _itself(points: Points) -> Points:
    return points


def _said(state: str, arm: str | None, scale: float | None) -> dict:
    return {"state": state, "arm": arm, "scale": scale, "repeat": None}
