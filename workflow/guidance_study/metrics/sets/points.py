"""Points of a known mixture at every scale: before, after each arm, retrieved, and an arm's targets; real points."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np
import torch

from guidance_study.execution.job import Input, Job
from guidance_study.metrics.neighbour_distance import nearest_real
from guidance_study.metrics.oracle import Oracle, oracle_of
from guidance_study.metrics.oracle.boundary import Boundary
from guidance_study.metrics.sets import Real, Samples
from guidance_study.metrics.sets.choice import moved
from guidance_study.metrics.sets.real import fresh, real_sample
from guidance_study.neighbours.retrieval import Space, retrieved
from guidance_study.networks.models import set_up
from guidance_study.store.rows import scale_of
from guidance_study.support.randomness import generator
from guidance_study.support.reading import read_array
from guidance_study.support.text import canonical


class RealPoints(Real):
    """Held-out points x (N, d) float64 and their labels, and the mixture in closed form."""

    def __init__(self, oracle: Oracle, x: np.ndarray, labels: np.ndarray):
        super().__init__()
        self.oracle, self.classes = oracle, oracle.classes
        self.x, self.labels = x, labels

    @classmethod
    def of(cls, dataset: Input) -> "RealPoints":
        """Those of a `dataset` artefact."""
        x, labels = (read_array(dataset.path / f"held_out{part}.npy") for part in ("", "_labels"))
        return cls(oracle_of(dataset), x.astype(np.float64), labels)

    @cached_property
    def boundary(self) -> Boundary:
        return Boundary(self.oracle)

    def of_class(self, label: int) -> np.ndarray:
        """The points of a class."""
        return self.x[self.labels == label]

    @property
    def known(self) -> "Points":
        """The held-out points as a set."""
        return Points(self.x, self.labels, self)

    @property
    def judges(self) -> list[Boundary]:
        """The mixture's own boundary."""
        return [self.boundary]

    def off(self, one: "Points") -> np.ndarray:
        """Mahalanobis distance of each point to the nearest Gaussian of its class, (n,)."""
        return self.oracle.mahalanobis(torch.from_numpy(one.flat), torch.from_numpy(one.labels)).numpy()


@dataclass
class Points(Samples):
    """Points x (n, d) and their labels; `before`, the same before postprocessing, where these are after it."""

    x: np.ndarray
    labels: np.ndarray
    real: RealPoints
    before: "Points | None" = None

    @cached_property
    def distance(self) -> np.ndarray:
        """To the nearest real point of the class, (n,)."""
        return nearest_real(self.x, self.labels, self.real.x, self.real.labels)

    @property
    def samples(self) -> np.ndarray:
        return self.x


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
        self.job, self.real = job, RealPoints.of(job.inputs["dataset"])
        source = job.inputs["samples"]
        self.samples, self.labels = read_array(source.path / "samples.npy"), read_array(source.path / "labels.npy")
        self.scale_of, self.scales = scale_of(source.params), source.params["scales"]
        self.about = {"n": int((self.scale_of == self.scales[-1]).sum()), "real": {"held_out": len(self.real.x)}}
        self._searched: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def __iter__(self) -> Iterator[tuple[dict, Callable[[], Points | Targets]]]:
        arms = self.job.params["arms"]
        ways = [arm for arm in arms if not arm["control"]]
        others = [("after", arm["name"], cache(lambda arm=arm: self._after(arm))) for arm in arms]
        others += [("retrieval", arm["name"], cache(lambda arm=arm: self._retrieved(arm))) for arm in ways]
        for i, scale in enumerate(self.scales):
            here = self.scale_of == scale
            before = Points(self.samples[here], self.labels[here], self.real)
            yield _said("before", None, scale), partial(_itself, before)
            yield _said("redraw", None, scale), partial(_redrawn, before, self.job.params["seed"])
            for state, name, read in others:
                yield _said(state, name, scale), partial(self._moved, read, here, before)
            for arm in ways:
                yield _said("targets", arm["name"], scale), partial(self._targets, arm, here)
            for arm in arms:
                if f"real/{arm['name']}/{i}" in self.job.inputs:
                    yield _said("real_after", arm["name"], scale), partial(self._real_after, arm["name"], i)
        yield _said("real", None, None), lambda: Points(*self._fresh, self.real)

    def _moved(self, read: Callable[[], np.ndarray], here: np.ndarray, before: Points) -> Points:
        return Points(read()[here], before.labels, self.real, before)

    def _after(self, arm: dict) -> np.ndarray:
        after = read_array(self.job.inputs[f"postprocessed/{arm['name']}"].path / "samples.npy")
        if not arm["moves"]:
            return after
        far = Space(self.job, arm, f"/{arm['name']}").neighbours(self.samples, self.labels, 1).distance[:, 0]
        rows = moved(self.job, arm["moves"], self.samples, self.labels, self.scale_of, far)
        return np.where(rows[:, None], after, self.samples)

    def _real_after(self, arm: str, scale: int) -> Points:
        """Fresh points after an arm's flow of the scale of this place, which should leave them as they are."""
        source = self.job.inputs[f"real/{arm}/{scale}"]
        start, labels = real_sample(self.job.inputs["dataset"], source.params["real"])
        before = Points(start, labels, self.real)
        return Points(read_array(source.path / "samples.npy"), labels, self.real, before)

    def _retrieved(self, arm: dict) -> np.ndarray:
        train = read_array(self.job.inputs["dataset"].path / "train.npy")
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


def _redrawn(points: Points, seed: int) -> Points:
    """Another of the generations of its class and scale in each one's place: a control that knows nothing of data."""
    order = np.empty(len(points.x), dtype=np.int64)
    for label in np.unique(points.labels):
        mine = generator(seed, "redraw", int(label)).permutation(np.flatnonzero(points.labels == label))
        order[mine] = np.roll(mine, 1)
    return Points(points.x[order], points.labels, points.real, points)


def _itself(points: Points) -> Points:
    return points


def _said(state: str, arm: str | None, scale: float | None) -> dict:
    return {"state": state, "arm": arm, "scale": scale, "repeat": None}
