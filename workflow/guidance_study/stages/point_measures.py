"""Stage `point_measures`: what the closed form says of an experiment's points: before, after each arm, retrieved."""

import json

import numpy as np

from guidance_study.execution.job import Input, Job
from guidance_study.metrics import points
from guidance_study.metrics.oracle import oracle_of, spec_of
from guidance_study.neighbours.retrieval import Space, retrieved
from guidance_study.networks.models import set_up
from guidance_study.store.rows import shares
from guidance_study.support.progress import log
from guidance_study.support.text import canonical

WORST = {"ratio_1": 0.01, "ratio_10": 0.1, "ratio_all": 1.0}  # the three numbers of a cell of Tab. 1, as we read it


class Judge:
    """The mixture, its real points, and the measures of other points against them."""

    def __init__(self, dataset: Input, manifold_k: int):
        self.oracle, self.k = oracle_of(dataset), manifold_k
        self.boundary = points.Boundary(self.oracle)
        self.real = np.load(dataset.path / "held_out.npy").astype(np.float64)
        self.labels = np.load(dataset.path / "held_out_labels.npy")
        self.classes = [self.real[self.labels == label] for label in range(self.oracle.classes)]
        self.projected = [points.projected(real) for real in self.classes]

    def measure(self, x: np.ndarray, labels: np.ndarray, before: np.ndarray | None = None) -> list[dict]:
        """[{label, metric, value}] of points (n, d), for all classes (label null) and for each.

        `before`: their neighbour distances (n,) before any postprocessing; without it, they are that themselves.
        Wasserstein distance and coverage are taken class by class; for all classes they are the mean.
        """
        distance = points.nearest_real(x, labels, self.real, self.labels)
        each = distance, self.boundary.distance(x), points.right_class(self.oracle, x, labels)
        before = distance if before is None else before
        found = {None: self._summary(*each, before)}
        for label, (real, projected) in enumerate(zip(self.classes, self.projected, strict=True)):
            mine = labels == label
            found[label] = self._summary(*(values[mine] for values in (*each, before))) | {
                "wasserstein": points.wasserstein(points.projected(x[mine]), projected),
                "coverage": points.coverage(x[mine], real, self.k),
            }
        for metric in ("wasserstein", "coverage"):
            found[None][metric] = np.mean([found[label][metric] for label in range(self.oracle.classes)])
        return [
            {"label": label, "metric": metric, "value": float(value)}
            for label, values in found.items()
            for metric, value in values.items()
        ]

    def _summary(self, distance: np.ndarray, boundary: np.ndarray, right: np.ndarray, before: np.ndarray) -> dict:
        found = {
            "neighbour_mean": distance.mean(),
            "neighbour_median": np.median(distance),
            "neighbour_99": np.quantile(distance, 0.99),
            "boundary": boundary.mean(),
            "right_class": right.mean(),
        }
        return found | {metric: points.worst_ratio(before, distance, share) for metric, share in WORST.items()}


def make(job: Job) -> None:
    """File: measures.json, {"rows": [{state, arm, scale, label, metric, value}], "n": points a scale, ...}.

    `label` is a class or null for all; `state` is real (fresh points of the mixture), before, after, retrieval,
    or targets: what an arm's flow learns towards.
    """
    set_up()
    source, dataset, params = job.inputs["samples"], job.inputs["dataset"], job.params
    judge = Judge(dataset, params["manifold_k"])
    before, labels = np.load(source.path / "samples.npy"), np.load(source.path / "labels.npy")
    scale_of = shares(source.params["scales"], source.params["n"])
    real, real_labels = fresh(dataset, len(before) // len(source.params["scales"]))
    sets, targeted = [("before", None, before)], {}
    found = {}  # arms of one space and k share their targets
    train = np.load(dataset.path / "train.npy")
    for arm in params["arms"]:
        embedder = job.inputs.get(f"embedder/{arm['name']}")
        key = canonical([arm["embedding"], arm["k"], arm["search"], embedder and embedder.recipe])
        if key not in found:
            space = Space(job, arm, f"/{arm['name']}")
            index = space.neighbours(before, labels)[0].index
            share = points.effective_share(space.neighbours(real, real_labels)[0].index, real_labels)
            found[key] = index, share
        index, _ = targeted[arm["name"]] = found[key]
        after = np.load(job.inputs[f"postprocessed/{arm['name']}"].path / "samples.npy")
        sets += [("after", arm["name"], after), ("retrieval", arm["name"], train[retrieved(index, params["seed"])])]
    rows = []
    for scale in source.params["scales"]:
        log(f"measuring scale {scale:g}")
        here = scale_of == scale
        distance = points.nearest_real(before[here], labels[here], judge.real, judge.labels)
        for state, arm, x in sets:
            shared = {"state": state, "arm": arm, "scale": scale}
            rows += [shared | row for row in judge.measure(x[here], labels[here], distance)]
        for arm, (index, real_share) in targeted.items():
            share = points.effective_share(index[here], labels[here]) / real_share
            shared = {"state": "targets", "arm": arm, "scale": scale, "label": None}
            rows.append(shared | {"metric": "effective_targets", "value": share})
    rows += [{"state": "real", "arm": None, "scale": None} | row for row in judge.measure(real, real_labels)]
    result = {"rows": rows, "n": int(here.sum()), "real": len(judge.real)}
    (job.out / "measures.json").write_text(json.dumps(result, indent=1) + "\n")


def fresh(dataset: Input, n: int) -> tuple[np.ndarray, np.ndarray]:
    """n new points of the mixture, neither trained on nor held out, float32, and their labels, classes in turn."""
    spec = spec_of(dataset)
    labels = np.arange(n) % spec.facts().classes
    x = np.empty((n, *spec.facts().shape), dtype=np.float32)
    for label in range(spec.facts().classes):
        mine = labels == label
        x[mine] = spec.draw("fresh", label, int(mine.sum()))
    return x, labels
