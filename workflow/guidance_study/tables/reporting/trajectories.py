"""Trajectories in numbers, and the gap between the two sides of Eq. (4)."""

from typing import Any

import numpy as np
import pandas as pd

from guidance_study.config.trajectories import EXACT
from guidance_study.execution.job import Job
from guidance_study.metrics import columns, meanings
from guidance_study.metrics.sets.trajectories import Travelled
from guidance_study.metrics.to_exact import rms
from guidance_study.metrics.wasserstein import projected, wasserstein
from guidance_study.support.text import shown
from guidance_study.tables.reporting import collect, recipes, title_of
from guidance_study.tables.reporting.render import number

COLUMNS = columns("trajectories")
ROUNDING = 1e-9  # a distance below it is one of rounding


def read(job: Job, source: dict) -> Travelled:
    """The trajectories of one of a figure's or of a table of gaps' `sources`."""
    return Travelled(
        job.inputs[source["role"]], job.inputs[f"dataset/{source['trajectories']}"], source["trajectories"]
    )


def run_text(run: dict) -> dict[str, str]:
    """A run in words, for rows: eps, guidance rule, classifier."""
    guidance = run["guidance"]
    eps = "exact" if run["eps"] == EXACT else "learned"
    return {"eps": eps, "Guidance": title_of(guidance["kind"]), "Classifier": guidance.get("classifier", "-")}


def measured(job: Job, runs: list[str] | None, metrics: list[str]) -> pd.DataFrame:
    """One line for each entry, run, seed, scale and metric, tidy, with the run in words; numbers of all classes.

    Runs stand in the order in which they were asked for.
    """
    rows, _ = collect(job)
    rows = rows[rows["metric"].isin(metrics) & rows["label"].isna()]
    order = {"trajectories": list(rows["trajectories"].unique()), "run": runs or list(rows["run"].unique())}
    rows = rows[rows["run"].isin(order["run"])]
    rows = rows.sort_values(list(order), key=lambda names: names.map(order[str(names.name)].index), kind="stable")
    said = {
        (source["trajectories"], run["name"]): run_text(run) | {"steps": run["steps"]}
        for source in job.params["sources"]
        for run in job.inputs[f"trajectories/{source['trajectories']}/{source['seed']}"].params["runs"]
    }
    words = pd.DataFrame([said[key] for key in zip(rows["trajectories"], rows["run"], strict=True)], index=rows.index)
    shown = rows[["trajectories", "seed", "run", "scale"]].rename(columns={"trajectories": "data"})
    return pd.concat([shown, words, rows[["metric", "value"]]], axis=1).reset_index(drop=True)


def apart(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Wasserstein distance of points of each class to others; the mean over classes."""
    pairs = zip(one, other, strict=True)
    return float(np.mean([wasserstein(projected(x), projected(y)) for x, y in pairs]))


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
            line[COLUMNS[metric].head] = "" if values.empty else _number(metric, values)
        found.append(line)
    return found


def _number(metric: str, values: pd.Series) -> str:
    if values.mean() >= 1e4:
        return f"{values.mean():.1e}"
    if metric == "to_exact" and values.mean() < 1e-3:
        return "0" if values.mean() == 0 else f"{values.mean():.0e}"
    return number(values.mean(), values.std(), COLUMNS[metric].digits)


def notes(rows: pd.DataFrame, job: Job, metrics: list[str]) -> list[str]:
    """Sentences below a table of trajectories."""
    sizes = _sizes(rows, job, "trajectories a row")
    return [sizes, *meanings("trajectories", metrics, recipes(job)), *learned(job)]


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
    return [source for role, source in sorted(job.inputs.items()) if role.startswith("trajectories/")]


def learned(job: Job) -> list[str]:
    """What exact and learned parts are; parts that were trained alike in all data stand once."""
    alike: dict[str, list[str]] = {}
    for name, parts in job.params["parts"].items():
        listed = "; ".join(f"{role}, {_source(training)}" for role, training in parts.items())
        if listed:
            alike.setdefault(listed, []).append(name)
    every = len(alike) == 1
    said = [f"Learned parts{'' if every else ' of ' + ', '.join(names)}: {listed}." for listed, names in alike.items()]
    return ["Exact parts are the mixture's closed form.", *said]


def _source(training: dict | None) -> str:
    return f"{training['steps']} steps of batch {training['batch_size']}" if training else "weights from outside"


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
            said = {"data": source["trajectories"], "seed": source["seed"], "pair": i}
            said |= {"left": side_text(runs[0]), "right": side_text(runs[1])}
            if "classifier" not in runs[1]["guidance"] and runs[0]["eps"] != runs[1]["eps"]:
                said["right"] += ", trained again"
            said["steps"] = " / ".join(
                dict.fromkeys(str(run["steps"] or travelled.params["sampler"]["steps"]) for run in runs)
            )
            ends = [[side[-1][travelled.labels == c] for c in np.unique(travelled.labels)] for side in (left, right)]
            w1 = apart(*ends)
            for metric, value in (("rms", rms(left[-1], right[-1])), ("wasserstein", w1)):
                found.append(said | {"metric": metric, "value": value})
    return pd.DataFrame(found)


def gap_lines(rows: pd.DataFrame) -> list[dict]:
    """A line for each pair; for each entry the RMS distance, its share of the first pair's, and the Wasserstein one."""
    found = []
    mean = rows.groupby(["pair", "data", "metric"], sort=False)["value"].agg(["mean", "std"])
    for pair, part in rows.groupby("pair", sort=False):
        first = part.iloc[0]
        line: dict[Any, str] = {
            "Left of Eq. (4)": first["left"],
            "Right of Eq. (4)": first["right"],
            "Steps": first["steps"],
        }
        for data in part["data"].unique():
            rms, whole = mean.loc[(pair, data, "rms")], mean.loc[(rows["pair"].iloc[0], data, "rms")]
            line[(data, "RMS")] = small(rms["mean"], rms["std"])
            line[(data, "of first")] = share(rms["mean"], whole["mean"])
            apart = mean.loc[(pair, data, "wasserstein")]
            line[(data, "W1")] = small(apart["mean"], apart["std"])
        found.append(line)
    return found


def share(part: float, whole: float) -> str:
    """A part of a whole in percent; "-" where the whole is rounding error."""
    return f"{part / whole:.0%}" if abs(whole) > ROUNDING else "-"


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
        *learned(job),
    ]
