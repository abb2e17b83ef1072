"""Points of an experiment as figures draw them: generations by scale and state, real points, boundaries, outliers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from guidance_study.execution.job import Job
from guidance_study.metrics.neighbour_distance import nearest_real, spacing
from guidance_study.metrics.oracle import Oracle, oracle_of
from guidance_study.metrics.oracle.boundary import Boundary
from guidance_study.networks.models import state_of
from guidance_study.store.rows import scale_of
from guidance_study.support.reading import read_array
from guidance_study.tables.reporting.points import flow_text


@dataclass
class Cloud:
    """One experiment's points in the plane."""

    name: str
    setting: dict
    gradient_factor: float
    states: dict[str, np.ndarray]  # "before" or an arm -> (n, 2)
    labels: np.ndarray
    scale_of: np.ndarray
    real: np.ndarray
    real_labels: np.ndarray
    oracle: Oracle
    boundary: Boundary
    line: np.ndarray | None  # (2, 2): the ends of a linear classifier's boundary on clean data
    reach: float

    @classmethod
    def read(cls, job: Job, name: str, arms: list[str]) -> "Cloud":
        """From a figure's inputs."""
        source, dataset = job.inputs[f"samples/{name}"], job.inputs[f"dataset/{name}"]
        states = {"before": source.path} | {arm: job.inputs[f"postprocessed/{name}/{arm}"].path for arm in arms}
        real, oracle = read_array(dataset.path / "held_out.npy"), oracle_of(dataset)
        reach = 1.12 * float(np.abs(real).max())
        classifier = job.inputs.get(f"classifier/{name}")
        return cls(
            job.params["settings"][name]["data"].replace("_", " "), job.params["settings"][name],
            source.params["guidance"].get("gradient_factor", 1.0),
            {state: read_array(path / "samples.npy") for state, path in states.items()},
            read_array(source.path / "labels.npy"),
            scale_of(source.params), real, read_array(dataset.path / "held_out_labels.npy"),
            oracle, Boundary(oracle, reach), _line(classifier, reach) if classifier else None, reach,
        )  # fmt: skip

    @property
    def scales(self) -> list[float]:
        return list(dict.fromkeys(self.scale_of.tolist()))

    def points(self, scale: float, state: str) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, 2) and labels at a scale."""
        mine = self.scale_of == scale
        return self.states[state][mine], self.labels[mine]

    def real_points(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """About n real points, as many of each class, classes in turn."""
        classes = int(self.real_labels.max()) + 1
        rows = np.stack([np.flatnonzero(self.real_labels == c)[: n // classes] for c in range(classes)], 1).ravel()
        return self.real[rows], self.real_labels[rows]

    def outliers(self, x: np.ndarray, labels: np.ndarray, quantile: float) -> tuple[np.ndarray, float]:
        """Points farther from real ones of their class than a share of real points are: rows, farthest first; share."""
        distance = nearest_real(x, labels, self.real, self.real_labels)
        order = np.argsort(-distance, kind="stable")
        outside = distance > float(np.quantile(self._spacing, quantile))
        return order[: outside.sum()], float(outside.mean())

    @cached_property
    def _spacing(self) -> np.ndarray:
        """How far each real point is from the next one of its class, for every panel."""
        own = [spacing(self.real[self.real_labels == c]) for c in np.unique(self.real_labels)]
        return np.concatenate(own)

    def state_text(self, state: str) -> str:
        """A state in words."""
        if state == "before":
            return "before"
        arms = [self.setting["arms"][arm] for arm in self.states if arm != "before"]
        if len(arms) == 1:
            return "after"
        return flow_text(self.setting["arms"][state], several=len({(arm["space"], arm["k"]) for arm in arms}) > 1)


def _line(classifier, reach: float) -> np.ndarray | None:
    """The boundary w.x + b = 0 of a linear classifier at time 0, from edge to edge."""
    if classifier.params["network"]["kind"] != "linear":
        return None
    state = state_of(classifier)
    w = (state["head.weight"][1] - state["head.weight"][0])[:2].numpy()
    b = float(state["head.bias"][1] - state["head.bias"][0])
    foot, along = -b * w / (w @ w), np.array([-w[1], w[0]]) / np.linalg.norm(w)
    return np.stack([foot - 4 * reach * along, foot + 4 * reach * along], 1)
