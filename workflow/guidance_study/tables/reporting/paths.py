"""Trajectories in numbers, and the gap between the two sides of Eq. (4)."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from guidance_study.config.paths import EXACT
from guidance_study.execution.job import Job
from guidance_study.metrics import points
from guidance_study.metrics.oracle import Oracle, oracle_of
from guidance_study.processes.ddpm import frame_times
from guidance_study.store.rows import columns
from guidance_study.support.text import shown
from guidance_study.tables.reporting.points import Claim
from guidance_study.tables.reporting.render import number

HEADS = {
    "boundary": "distance to boundary", "right_class": "right class", "bend": "bend", "to_exact": "RMS to exact",
    "wasserstein": "Wasserstein", "farthest": "farthest point",
}  # fmt: skip
DIGITS = {"boundary": 2, "bend": 2, "farthest": 1}


@dataclass
class Travelled:
    """A `paths` artefact as arrays, with its mixture and real points to compare with."""

    name: str
    seed: int
    params: dict
    paths: np.ndarray  # (rows, frames, n, d) float64
    labels: np.ndarray
    real: np.ndarray
    projected: list[np.ndarray]  # of the real points of each class
    oracle: Oracle
    times: list[int]

    @property
    def rows(self) -> dict[tuple[str, float], int]:
        return {key: i for i, key in enumerate(columns(self.params))}

    def of(self, run: str, scale: float | None = None) -> np.ndarray:
        """The paths (frames, n, d) of a run at a scale, or at its first one."""
        if scale is None:
            scale = self.run(run)["scales"][0]
        return self.paths[self.rows[run, scale]]

    def run(self, name: str) -> dict:
        return next(run for run in self.params["runs"] if run["name"] == name)


def read(job: Job, source: dict) -> Travelled:
    """One of a table's or figure's `sources`."""
    artefact, dataset = job.inputs[source["role"]], job.inputs[f"dataset/{source['paths']}"]
    real, labels = (
        np.load(dataset.path / "held_out.npy").astype(np.float64),
        np.load(dataset.path / "held_out_labels.npy"),
    )
    projected = [points.projected(real[labels == c]) for c in np.unique(labels)]
    paths, path_labels = np.load(artefact.path / "paths.npy"), np.load(artefact.path / "labels.npy")
    return Travelled(
        source["paths"], source["seed"], artefact.params, paths, path_labels, real, projected, oracle_of(dataset),
        frame_times(artefact.params),
    )  # fmt: skip


def run_text(run: dict, titles: dict[str, str]) -> dict[str, str]:
    """A run in words, for rows: eps, guidance rule, classifier."""
    guidance = run["guidance"]
    eps = "exact" if run["eps"] == EXACT else "learned"
    return {"eps": eps, "Guidance": titles[guidance["kind"]], "Classifier": guidance.get("classifier", "-")}


def measured(job: Job, runs: list[str] | None, metrics: list[str], reference: str) -> pd.DataFrame:
    """One line for each entry, seed, run, scale and metric, tidy."""
    found, boundaries = [], {}
    for source in job.params["sources"]:
        travelled = read(job, source)
        if "boundary" in metrics and travelled.name not in boundaries:
            boundaries[travelled.name] = points.Boundary(travelled.oracle)
        exact = travelled.of(reference, 1.0)
        for run, scale in columns(travelled.params):
            if runs is None or run in runs:
                paths = travelled.of(run, scale)
                said = {"data": travelled.name, "seed": travelled.seed, "run": run, "scale": scale}
                said |= run_text(travelled.run(run), job.params["titles"]) | {"steps": travelled.run(run)["steps"]}
                own_steps = travelled.run(run)["steps"]  # whose times are others than the exact trajectory's
                for metric in metrics:
                    if metric == "to_exact" and own_steps:
                        continue
                    value = _measure(metric, paths, travelled, exact, boundaries.get(travelled.name))
                    found.append(said | {"metric": metric, "value": value})
    return pd.DataFrame(found)


def _measure(metric: str, paths: np.ndarray, travelled: Travelled, exact: np.ndarray, boundary) -> float:
    end, labels = paths[-1], travelled.labels
    if metric == "boundary":
        return float(boundary.distance(end).mean())
    if metric == "right_class":
        return float(points.right_class(travelled.oracle, end, labels).mean())
    if metric == "bend":
        return points.bend(paths)
    if metric == "to_exact":
        return points.rms(paths, exact)
    if metric == "farthest":
        return float(np.linalg.norm(end, axis=1).max())
    return apart([end[labels == c] for c in np.unique(labels)], travelled.projected)


def apart(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Wasserstein distance of points, class by class, to projected ones; the mean over classes."""
    return float(np.mean([points.wasserstein(points.projected(x), y) for x, y in zip(one, other, strict=True)]))


def lines(rows: pd.DataFrame, metrics: list[str]) -> list[dict]:
    """A line for each entry, run and scale; mean over seeds, with their standard deviation."""
    found = []
    for (data, _, scale), part in rows.groupby(["data", "run", "scale"], sort=False):
        first = part.iloc[0]
        steps = f", {first['steps']:.0f} steps" if first["steps"] and not pd.isna(first["steps"]) else ""
        line = {
            "Data": data,
            "eps": first["eps"] + steps,
            "Guidance": first["Guidance"],
            "Classifier": first["Classifier"],
        }
        line["Scale"] = shown(scale)
        for metric in metrics:
            values = part.loc[part["metric"] == metric, "value"]
            line[HEADS[metric]] = "" if values.empty else _number(metric, values)
        found.append(line)
    return found


def _number(metric: str, values: pd.Series) -> str:
    if values.mean() >= 1e4:
        return f"{values.mean():.1e}"
    if metric == "to_exact" and values.mean() < 1e-3:
        return "0" if values.mean() == 0 else f"{values.mean():.0e}"
    return number(values.mean(), values.std(), DIGITS.get(metric, 3))


MEANING = {
    "boundary": "Distance to boundary: of the ends, to where both classes are equally likely (sought within 6 of 0).",
    "right_class": "Right class: by the exact posterior.",
    "bend": "Bend: length of a trajectory over its chord, the median.",
    "to_exact": "RMS to exact: over all times, to the exact conditional trajectory (scale 1) from the same noise.",
    "wasserstein": "Wasserstein: W1 to held-out points of the class (in the plane sliced), the mean over classes.",
    "farthest": "Farthest point: the largest distance of a generation from the data's mean; data reach to about 3.",
}


def notes(rows: pd.DataFrame, job: Job, metrics: list[str]) -> list[str]:
    """Sentences below a table of trajectories."""
    sizes = _sizes(rows, job, "trajectories a row")
    return [*growth(rows), sizes, *(MEANING[metric] for metric in metrics), *_learned(job)]


def growth(rows: pd.DataFrame) -> list[str]:
    """Whether the distance to the boundary grows with the scale, in every run, seed and data; and where not."""
    claim = Claim()
    for (data, run, seed), part in rows[rows["metric"] == "boundary"].groupby(["data", "run", "seed"], sort=False):
        ordered = part.set_index("scale")["value"].sort_index()
        for low, high in itertools.pairwise(ordered.index):
            claim.add(ordered[high] > ordered[low], f"{data}, {run}, seed {seed}, {shown(low)} to {shown(high)}")
    said = claim.said("The distance to the boundary grows from each scale to the next")
    return [said] if said else []


def _sizes(rows: pd.DataFrame, job: Job, what: str) -> str:
    """How many trajectories, how sampled, over which seeds."""
    seeds = sorted(rows["seed"].unique().tolist())
    samplers = [(source.params["n"], source.params["sampler"]) for source in _sources(job)]
    counts = dict.fromkeys((n, sampler["kind"], sampler["steps"]) for n, sampler in samplers)
    said = " or ".join(f"{n} {what}, from the same noises, by {kind} of {steps} steps" for n, kind, steps in counts)
    if len(seeds) == 1:
        return f"{said}; training seed {seeds[0]}."
    return f"{said}; training seeds {', '.join(map(str, seeds))}, ± is the standard deviation over them."


def _sources(job: Job) -> list:
    return [source for role, source in sorted(job.inputs.items()) if role.startswith("paths/")]


def _learned(job: Job) -> list[str]:
    """What exact and learned parts are; parts that were trained alike in all data stand once."""
    alike: dict[str, list[str]] = {}
    for name, parts in job.params["parts"].items():
        listed = "; ".join(f"{role}, {part['steps']} steps of batch {part['batch']}" for role, part in parts.items())
        alike.setdefault(listed, []).append(name)
    every = len(alike) == 1
    learned = [
        f"Learned parts{'' if every else ' of ' + ', '.join(names)}: {listed}." for listed, names in alike.items()
    ]
    return ["Exact parts are the mixture's closed form.", *learned]


def side_text(run: dict) -> str:
    """A run in words, as one side of Eq. (4)."""
    conditional = "classifier" not in run["guidance"]
    eps = "exact" if run["eps"] == EXACT else "learned"
    if conditional:
        return f"{eps} conditional"
    role = run["guidance"]["classifier"]
    return f"{eps} unconditional x {'exact' if role == EXACT else f'learned {role}'} classifier"


def gaps(job: Job, pairs: list[dict]) -> pd.DataFrame:
    """For each entry, seed and pair of runs: how far the two sides are apart, tidy."""
    found = []
    for source in job.params["sources"]:
        travelled = read(job, source)
        for i, pair in enumerate(pairs):
            left, right = travelled.of(pair["left"]), travelled.of(pair["right"])
            runs = [travelled.run(pair[side]) for side in ("left", "right")]
            said = {"data": travelled.name, "seed": travelled.seed, "pair": i}
            said |= {"left": side_text(runs[0]), "right": side_text(runs[1])}
            said["steps"] = " / ".join(
                dict.fromkeys(str(run["steps"] or travelled.params["sampler"]["steps"]) for run in runs)
            )
            ends = [[side[-1][travelled.labels == c] for c in np.unique(travelled.labels)] for side in (left, right)]
            w1 = apart(ends[0], [points.projected(x) for x in ends[1]])
            for metric, value in (("rms", points.rms(left[-1], right[-1])), ("wasserstein", w1)):
                found.append(said | {"metric": metric, "value": value})
    return pd.DataFrame(found)


def gap_lines(rows: pd.DataFrame) -> list[dict]:
    """A line for each pair; for each entry the RMS distance, its share of the first pair's, and the Wasserstein one."""
    found = []
    mean = rows.groupby(["pair", "data", "metric"], sort=False)["value"].agg(["mean", "std"])
    for pair, part in rows.groupby("pair", sort=False):
        first = part.iloc[0]
        line = {"Left of Eq. (4)": first["left"], "Right of Eq. (4)": first["right"], "Steps": first["steps"]}
        for data in part["data"].unique():
            rms, whole = mean.loc[(pair, data, "rms")], mean.loc[(rows["pair"].iloc[0], data, "rms")]
            line[(data, "RMS")] = small(rms["mean"], rms["std"])
            line[(data, "of first")] = f"{rms['mean'] / whole['mean']:.0%}"
            apart = mean.loc[(pair, data, "wasserstein")]
            line[(data, "W1")] = small(apart["mean"], apart["std"])
        found.append(line)
    return found


def small(mean: float, spread: float) -> str:
    """A number that may be rounding error."""
    return f"{mean:.0e}" if mean < 1e-4 else number(mean, spread, 4)


def gap_notes(rows: pd.DataFrame, job: Job) -> list[str]:
    """Sentences below the table of gaps."""
    return [
        _sizes(rows, job, "generations a side at scale 1") + " Steps: where a row says another number, that.",
        "RMS: distance between the two generations of a noise; of first: its share of the first row's, both means over"
        " seeds; W1: Wasserstein distance between the two sides' distributions, the mean over classes.",
        "For the true densities Eq. (4) holds at every noise level, so with exact parts the gap is rounding error, at"
        " any number of steps that both sides take: what separates the sides is what was learned. Exact parts at two"
        " different numbers of steps show the sampler's own error.",
        *_learned(job),
    ]
