"""How measured rows become tables: summaries, the form of a table, the notes below it."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from guidance_study.config import seams
from guidance_study.support.reading import read_json

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.execution.job import Job

COLUMNS = (
    "state",
    "arm",
    "run",
    "scale",
    "repeat",
    "metric",
    "space",
    "reference",
    "label",
    "value",
    "reference_run",
)  # of every row
# What a row was measured of, beside what is written in it: its experiment's guidance, and its arm.
SETTINGS = ("guidance", "gradient_factor", "classifier", "neighbour_space", "k", "train_on")


def collect(job: "Job", controls: Collection[str] | None = ()) -> tuple["pd.DataFrame", list[dict]]:
    """All measured rows of a table's `sources`, tidy, and the contents of the files read.

    Of control arms, and of real data through their flows, the named ones alone; None is all of them.

    Columns: COLUMNS, what is said of their source (experiment, seed) and, from the recipe of the measures,
    SETTINGS; empty where there is none.
    """
    import pandas as pd

    frames, contents = [], []
    for source in job.params["sources"]:
        measures = job.inputs[source["role"]]
        content = read_json(measures.path / "measures.json")
        rule = measures.params.get("guidance", {})
        of_rule = {"guidance": rule.get("kind"), **{key: rule.get(key) for key in SETTINGS[1:3]}}
        arms = {arm["name"]: arm for arm in measures.params.get("arms", [])}
        of_arm = pd.DataFrame(
            [[arm["space"], arm["k"], arm["train_on"]] for arm in arms.values()],
            index=list(arms), columns=list(SETTINGS[3:]), dtype=object,
        )  # fmt: skip
        frame = pd.DataFrame(content["rows"]).join(of_arm, on="arm")
        if controls is not None:
            hidden = {name for name, arm in arms.items() if arm["control"]} - set(controls)
            frame = frame[~frame["arm"].isin(hidden) & (frame["state"] != "real_after")]
        frames.append(frame.assign(**of_rule, **{key: value for key, value in source.items() if key != "role"}))
        contents.append(content)
    rows = pd.concat(frames, ignore_index=True)
    return rows.reindex(columns=dict.fromkeys([*rows.columns, *COLUMNS])), contents


def recipes(job: "Job") -> list[dict]:
    """What the recipes of a table's first measures say of their metrics."""
    return job.inputs[job.params["sources"][0]["role"]].params["metrics"]


def title_of(guidance: str) -> str:
    """A guidance rule in words."""
    return seams.kinds("guidance")[guidance].title


def arms_of(rows: "pd.DataFrame") -> dict[str, dict]:
    """Arm -> {space, k, train_on}, in the order of the rows."""
    found = rows[rows["arm"].notna()].drop_duplicates("arm")
    return {
        row.arm: {"space": row.neighbour_space, "k": int(row.k), "train_on": row.train_on} for row in found.itertuples()
    }


def control_text(arm: str, space: str, k: int | str) -> str:
    """What a control arm does otherwise, after a comma; nothing of others."""
    said = arm.removeprefix(f"{space}_k{k}").removeprefix("_own")
    return f", {said.strip('_').replace('_', ' ')}" if said else ""
