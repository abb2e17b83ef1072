"""Stage `measures`: the metrics that tables ask for, of all sets of an experiment (at a scale) or of trajectories.

One job computes all metrics of its sets, since reading the sets, their features and their neighbours costs more than
most metrics do. Their list is part of the recipe, so that a new metric gives a new address. Its job then takes from
finished artefacts that differ in this list alone the values of the metrics, with their code and parameters, that both
have, and computes the others. A value follows from recipes and bytes that were verified, so that it is the same
in both, to the last bit. An artefact for each metric would need no such copying, and a job for each metric.
"""

import contextlib
import json
from collections.abc import Iterator

from guidance_study.execution.job import Job
from guidance_study.metrics import Metric
from guidance_study.metrics.sets.of import sets_of
from guidance_study.store.artefacts import DamagedArtefact, Store
from guidance_study.support.progress import log
from guidance_study.support.reading import read_json
from guidance_study.support.text import canonical


def make(job: Job) -> None:
    """File: measures.json, {"rows": [{state, arm, scale, repeat, metric, space, reference, label, value}], "n",
    "real"}.

    `state` is real (held-out images, or fresh points, in the generations' place), before, after, retrieval, or targets:
    what an arm's flow learns towards; null for trajectories, whose rows have a `run` too. `label` is a class, or null
    for all; `n` is the size of a set and `real` that of the real ones.
    """
    asked = [Metric.of_recipe(recipe) for recipe in job.params["metrics"]]
    found, sources = stored(job)
    missing = [metric for metric in asked if metric.kind not in found]
    for kind, address in sources.items():
        log(f"{kind}: as measured for {address}")
    sets = sets_of(job)
    found |= {metric.kind: [] for metric in missing}
    for said, read in sets:
        wanted = [metric for metric in missing if said["state"] in metric.states]
        if not wanted:
            continue
        log(f"measuring {', '.join(m.kind for m in wanted)} of {', '.join(f'{k} {v}' for k, v in said.items() if v)}")
        one = read()
        for metric in wanted:
            found[metric.kind] += [said | vars(row) for row in metric.measure(one, sets.real)]
    result = {"rows": [row for metric in asked for row in found[metric.kind]], **sets.about}
    (job.out / "measures.json").write_text(json.dumps(result, indent=1) + "\n")
    if sources:
        job.facts["copied"] = sources


def stored(job: Job) -> tuple[dict[str, list[dict]], dict[str, str]]:
    """Rows of the asked metrics that finished artefacts have, by kind; and the addresses of these artefacts."""
    wanted = {_said(recipe, job.code): recipe["kind"] for recipe in job.params["metrics"]}
    rows, sources = {}, {}
    for address, made, content in _alike(job):
        for recipe in made["params"]["metrics"]:
            kind = wanted.get(_said(recipe, made["code"]))
            if kind and kind not in rows:
                names = {column.name for column in Metric.of_recipe(recipe).columns}
                rows[kind], sources[kind] = [row for row in content if row["metric"] in names], address
    return rows, sources


def _said(recipe: dict, code: dict[str, str]) -> str:
    """What a metric's numbers follow from beside the sets: its parameters and its code."""
    return canonical([recipe, code[f"metrics/{recipe['kind']}"]])


def _shared(params: dict, code: dict[str, str]) -> tuple[dict, dict]:
    """Parameters and code that all metrics share."""
    return params | {"metrics": []}, {unit: code[unit] for unit in code if not unit.startswith("metrics/")}


def _alike(job: Job) -> Iterator[tuple[str, dict, list[dict]]]:
    """Address, recipe and rows of finished artefacts of the same bytes that differ in the metrics alone."""
    folder = next(job.inputs[role].path for role in ("samples", "trajectories") if role in job.inputs)
    label, store = folder.name.rsplit("-", 1)[0], Store(folder.parents[1])  # artefacts are called as what they measure
    inputs = {role: "/".join(source.path.parts[-2:]) for role, source in job.inputs.items()}
    read = {inputs[role]: source.content for role, source in job.inputs.items()}
    for path in sorted((store.root / "measures").glob(f"{label}-*/manifest.json")):
        address = f"measures/{path.parent.name}"
        with contextlib.suppress(DamagedArtefact):
            manifest = store.read(path)
            recipe = manifest["recipe"]
            same = _shared(recipe["params"], recipe.get("code", {})) == _shared(job.params, job.code)
            if same and recipe["inputs"] == inputs and manifest["inputs"] == read:
                content = read_json(store.open(address) / "measures.json")
                yield address, recipe, content["rows"]
