"""Stage `measures`: every metric of one experiment at one scale: before, after each arm, and the controls."""

import json

import numpy as np

from guidance_study.jobs import Job
from guidance_study.metrics.frechet import Gaussian, frechet_distance
from guidance_study.metrics.labels import accuracy
from guidance_study.metrics.manifold import copy_threshold, near_copies, prdc
from guidance_study.models import features, load_classifier, predicted, set_up
from guidance_study.progress import log
from guidance_study.randomness import uniform
from guidance_study.stages.neighbours import nearest


def retrieved(job: Job, arm: dict, samples: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The retrieval control: in each sample's place a random one of its k nearest training samples of its class.

    The draw is one uniform number a sample, the same for every arm.
    """
    embedder = job.inputs.get(f"embedder/{arm['name']}")
    network = load_classifier(embedder) if embedder else None
    found = nearest(samples, labels, job.inputs["dataset"], arm["embedding"], arm["k"], network)
    which = (uniform(job.params["seed"], "retrieval", 0, len(samples)) * arm["k"]).astype(np.int64)
    real = np.load(job.inputs["dataset"].path / "train.npy", mmap_mode="r")
    return real[found.index[np.arange(len(samples)), which]]


class Judge:
    """Real data seen by the evaluator, and the metrics of any other set of samples against it."""

    def __init__(self, job: Job):
        self.network = load_classifier(job.inputs["evaluator"])
        folder = job.inputs["dataset"].path
        self.real = {part: np.load(folder / f"{part}.npy") for part in ("train", "held_out")}
        self.features = {part: features(self.network, images) for part, images in self.real.items()}
        self.gaussian = {part: Gaussian.of(f) for part, f in self.features.items()}
        self.pixels = self.real["train"].reshape(len(self.real["train"]), -1)
        self.threshold = copy_threshold(self.pixels, job.params["copy_quantile"])
        self.k = job.params["manifold_k"]

    def measure(self, samples: np.ndarray, labels: np.ndarray) -> list[dict]:
        """[{metric, reference, value}] of one block of samples (N, *shape)."""
        seen = features(self.network, samples)
        right = accuracy(predicted(self.network, seen), labels)
        copies = near_copies(samples.reshape(len(samples), -1), self.pixels, self.threshold)
        rows = [("accuracy", None, right), ("near_copies", "train", copies)]
        mine = Gaussian.of(seen)
        for part, gaussian in self.gaussian.items():
            rows.append(("frechet", part, frechet_distance(mine, gaussian)))
            rows += [(metric, part, value) for metric, value in prdc(self.features[part], seen, self.k).items()]
        return [{"metric": m, "reference": r, "value": v} for m, r, v in rows]


def make(job: Job) -> None:
    """File: measures.json, {"rows": [{state, arm, block, metric, reference, value}], "n": ..., "real": ...}.

    `state` is real (held-out images in the generations' place), before, after or retrieval.
    """
    set_up()
    source = job.inputs["samples"].path
    samples, labels = np.load(source / "samples.npy"), np.load(source / "labels.npy")
    judge = Judge(job)
    sets = [("before", None, samples)]
    for arm in job.params["arms"]:
        after = np.load(job.inputs[f"postprocessed/{arm['name']}"].path / "samples.npy")
        sets += [
            ("after", arm["name"], after),
            ("retrieval", arm["name"], retrieved(job, arm, samples, labels)),
        ]
    rows = []
    blocks = np.array_split(np.arange(len(samples)), job.params["blocks"])
    for state, arm, images in sets:
        log(f"measuring {state} {arm or ''}")
        for b, block in enumerate(blocks):
            shared = {"state": state, "arm": arm, "block": b}
            rows += [shared | row for row in judge.measure(images[block], labels[block])]
    held_out = np.load(job.inputs["dataset"].path / "held_out_labels.npy")
    real = [row for row in judge.measure(judge.real["held_out"], held_out) if row["reference"] != "held_out"]
    rows += [{"state": "real", "arm": None, "block": None} | row for row in real]
    sizes = {part: len(images) for part, images in judge.real.items()}
    result = {
        "rows": rows,
        "generations_per_block": len(blocks[0]),
        "real": sizes,
        "copy_threshold": judge.threshold,
    }
    (job.out / "measures.json").write_text(json.dumps(result, indent=1) + "\n")
