"""Stage `measures`: every metric of one experiment at one scale: before, after each arm, and the controls."""

import json

import numpy as np

from guidance_study.config.experiments import EVALUATOR
from guidance_study.execution.job import Job
from guidance_study.metrics.frechet import Gaussian, frechet_distance
from guidance_study.metrics.kernel import kernel_distance
from guidance_study.metrics.labels import accuracy
from guidance_study.metrics.manifold import copy_threshold, near_copies, prdc
from guidance_study.neighbours.retrieval import Space, retrieved
from guidance_study.support.progress import log

PARTS = ("train", "held_out")  # of the real data


class Evaluator:
    """The evaluation classifier: features of real and generated images, and the classes that it sees."""

    name, kernel = EVALUATOR, False

    def __init__(self, job: Job, real: dict[str, np.ndarray]):
        from guidance_study.networks.models import features, load_classifier, predicted, set_up

        set_up()
        self.network = load_classifier(job.inputs[EVALUATOR])
        self._features, self._predicted = features, predicted
        self.real = {part: features(self.network, images) for part, images in real.items()}
        self.gaussian = {part: Gaussian.of(seen) for part, seen in self.real.items()}

    def seen(self, images: np.ndarray, of: str) -> np.ndarray:
        """Features (n, D) of images (n, *shape)."""
        return self._features(self.network, images)

    def guesses(self, seen: np.ndarray) -> np.ndarray:
        """The classes (n,) of images from their features."""
        return self._predicted(self.network, seen)


class Pretrained:
    """A pretrained network's space: the features of every set are artefacts, as are the real ones' statistics."""

    kernel = True

    def __init__(self, job: Job, name: str):
        self.job, self.name = job, name
        self.real = {part: self.seen(None, part) for part in PARTS}
        self.gaussian = {}
        for part in PARTS:
            folder = job.inputs[f"statistics/{name}/{part}"].path
            self.gaussian[part] = Gaussian(np.load(folder / "mean.npy"), np.load(folder / "covariance.npy"))

    def seen(self, images, of: str) -> np.ndarray:
        """Features (n, D) of the set `of`: before, an arm, or a part of the real data."""
        return np.load(self.job.inputs[f"seen/{self.name}/{of}"].path / "features.npy", mmap_mode="r")


class Judge:
    """Real data, the spaces in which sets of images are compared, and the metrics of a set."""

    def __init__(self, job: Job):
        folder, self.params = job.inputs["dataset"].path, job.params
        self.images = {part: np.load(folder / f"{part}.npy", mmap_mode="r") for part in PARTS}
        self.labels = {part: np.load(folder / f"{part}_labels.npy") for part in PARTS}
        self.spaces = [Evaluator(job, self.images)] if EVALUATOR in job.inputs else []
        self.spaces += [Pretrained(job, name) for name in job.params["spaces"]]
        self.pixels = self.images["train"].reshape(len(self.images["train"]), -1)
        self.threshold = copy_threshold(self.pixels, job.params["copy_quantile"])
        self.of_class: dict[tuple, Gaussian] = {}

    def measure(self, images: np.ndarray, seen: dict[str, np.ndarray], labels: np.ndarray) -> list[dict]:
        """[{metric, space, reference, label, value}] of a block: images (n, *shape), features by space, labels."""
        copies = near_copies(np.asarray(images).reshape(len(images), -1), self.pixels, self.threshold)
        rows = [("near_copies", None, "train", None, copies)]
        for space in self.spaces:
            mine = np.asarray(seen[space.name])
            if space.name == EVALUATOR:
                rows.append(("accuracy", EVALUATOR, None, None, accuracy(space.guesses(mine), labels)))
            gaussian = Gaussian.of(mine)
            for part in PARTS:
                found = {"frechet": frechet_distance(gaussian, space.gaussian[part])}
                if space.kernel:
                    found["kid"] = kernel_distance(space.real[part], mine, self.params["seed"])
                n = self.params["manifold_n"]
                found |= prdc(_spread(space.real[part], n), _spread(mine, n), self.params["manifold_k"])
                rows += [(metric, space.name, part, None, value) for metric, value in found.items()]
                if self.params["per_class"]:
                    rows += self._by_class(space, mine, labels, part)
        names = ("metric", "space", "reference", "label", "value")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _by_class(self, space, mine: np.ndarray, labels: np.ndarray, part: str) -> list[tuple]:
        found = []
        for label in np.unique(labels):
            key = space.name, part, label
            if key not in self.of_class:  # the same for every set of images
                self.of_class[key] = Gaussian.of(space.real[part][self.labels[part] == label])
            distance = frechet_distance(Gaussian.of(mine[labels == label]), self.of_class[key])
            found.append(("frechet", space.name, part, int(label), distance))
        return found


def _spread(features: np.ndarray, n: int) -> np.ndarray:
    """At most n rows, evenly spread: a dataset's classes may stand one after the other."""
    return np.asarray(features[np.linspace(0, len(features) - 1, min(n, len(features))).astype(np.int64)])


def make(job: Job) -> None:
    """File: measures.json, {"rows": [{state, arm, block, metric, space, reference, label, value}], ...}.

    `state` is real (held-out images in the generations' place), before, after or retrieval; `label` is a class, or null
    for all.
    """
    source = job.inputs["samples"].path
    samples, labels = np.load(source / "samples.npy", mmap_mode="r"), np.load(source / "labels.npy")
    judge = Judge(job)
    blocks = np.array_split(np.arange(len(samples)), job.params["blocks"])
    rows = []

    def add(state: str, arm: str | None, images: np.ndarray, seen: dict[str, np.ndarray]) -> None:
        log(f"measuring {state} {arm or ''}")
        for b, block in enumerate(blocks):
            part = slice(block[0], block[-1] + 1)
            found = judge.measure(images[part], {name: f[part] for name, f in seen.items()}, labels[part])
            rows.extend({"state": state, "arm": arm, "block": b} | row for row in found)

    add("before", None, samples, {space.name: space.seen(samples, "before") for space in judge.spaces})
    for arm in job.params["arms"]:
        after = np.load(job.inputs[f"postprocessed/{arm['name']}"].path / "samples.npy", mmap_mode="r")
        add("after", arm["name"], after, {space.name: space.seen(after, arm["name"]) for space in judge.spaces})
        found = Space(job, arm, f"/{arm['name']}").neighbours(samples, labels)
        index = retrieved(found.index, job.params["seed"])
        features = {space.name: space.real["train"][index] for space in judge.spaces}
        add("retrieval", arm["name"], judge.images["train"][index], features)
    held_out = {space.name: space.real["held_out"] for space in judge.spaces}
    real = judge.measure(judge.images["held_out"], held_out, judge.labels["held_out"])
    rows += [{"state": "real", "arm": None, "block": None} | row for row in real if row["reference"] != "held_out"]
    result = {
        "rows": rows,
        "generations_per_block": len(blocks[0]),
        "real": {part: len(images) for part, images in judge.images.items()},
        "copy_threshold": judge.threshold,
    }
    (job.out / "measures.json").write_text(json.dumps(result, indent=1) + "\n")
