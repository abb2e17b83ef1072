"""Stage `table`: measures of experiments, scales and seeds -> .csv (tidy), .md, .html, .tex (as in the paper)."""

import json

import pandas as pd

from guidance_study.jobs import Job
from guidance_study.tables import notes, pivot, render, summarise


def collect(job: Job) -> tuple[pd.DataFrame, list[dict]]:
    """All measured rows with their experiment, scale and seed; and the whole contents of the measures read."""
    frames, contents = [], []
    for source in job.params["sources"]:
        content = json.loads((job.inputs[source["role"]].path / "measures.json").read_text())
        shared = {key: source[key] for key in ("experiment", "scale", "seed")}
        frames.append(pd.DataFrame(content["rows"]).assign(**shared))
        contents.append(content)
    return pd.concat(frames, ignore_index=True), contents


def make(job: Job) -> None:
    """Files: the tidy summary as .csv; the same numbers in the paper's form as .md, .html and .tex."""
    rows, contents = collect(job)
    summary = summarise(rows, job.params)
    summary.to_csv(job.out / "table.csv", index=False, float_format="%.6g", lineterminator="\n")
    table, below = pivot(summary, job.params), notes(rows, contents, job.params)
    for suffix, text in render(table, job.params["spec"]["title"], below).items():
        (job.out / f"table{suffix}").write_text(text, encoding="utf-8")
