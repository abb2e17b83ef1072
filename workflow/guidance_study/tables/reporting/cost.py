"""The cost of sampling and of postprocessing as a table."""

from typing import Any

import pandas as pd

from guidance_study.execution.job import Job
from guidance_study.support.reading import read_json


def tidy(job: Job) -> tuple[pd.DataFrame, dict]:
    """A line for each batch size and what was done; and the content of the file read."""
    content = read_json(job.inputs["cost"].path / "cost.json")
    rows = pd.DataFrame(content["rows"])
    rows["seconds_per_image"] = rows["seconds"] / rows["batch"]
    return rows, content


def lines(rows: pd.DataFrame, paper: dict) -> list[dict]:
    """A line for each batch size, and the paper's."""
    found = []
    for batch in rows["batch"].unique():
        line: dict[Any, str] = {"Batch": str(batch)}
        for what, head in (("base", "sampling"), ("postprocessing", "postprocessing")):
            row = rows[(rows["batch"] == batch) & (rows["what"] == what)].iloc[0]
            line[(head, "s an image")] = f"{row['seconds_per_image']:.3g}"
            line[(head, "NFE")] = str(row["nfe"])
            line[(head, "peak MiB")] = f"{row['peak_mib']:.0f}"
        found.append(line)
    printed: dict[Any, str] = {"Batch": "paper, A100"}
    printed[("postprocessing", "s an image")] = f"{paper['extra_seconds_per_image']:g}"
    printed[("postprocessing", "peak MiB")] = f"{paper['extra_memory_gb'] * 1e9 / 2**20:.0f} more"
    return [*found, printed]


def notes(content: dict) -> list[str]:
    """What was measured, and where."""
    return [
        f"Measured on: {content['device']}; the second of two runs of each batch. Peak memory is the whole process's,"
        f" on a GPU of its tensors; the postprocessing network alone takes {content['loaded_mib']:.0f} MiB.",
        "NFE of postprocessing: Dopri5 with the error of each sample within the tolerances; over a whole batch at once,"
        " as torchdiffeq takes it, fewer evaluations pass.",
        "Jobs beside it on the same machine slow it down: make this table alone (snakemake --cores 1) to quote it.",
        "The paper gives no batch size (Sec. D.2: 1.6 GB more memory and 4.5 s more for each image).",
    ]
