"""Tables of points that the closed form judges: summaries over seeds, rows, notes."""

from typing import Any

import pandas as pd

from guidance_study.execution.job import Job
from guidance_study.metrics import columns, meanings
from guidance_study.support.text import shown
from guidance_study.tables.reporting import SETTINGS, arms_of, control_text, recipes, title_of
from guidance_study.tables.reporting.render import number

COLUMNS = columns("points")


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of every experiment, scale, label, state, arm and metric."""
    by = ["experiment", *SETTINGS, "scale", "label", "state", "arm", "metric"]
    grouped = rows.groupby(by, sort=False, dropna=False)["value"]
    return grouped.agg(mean="mean", spread="std", seeds="count").reset_index()


def guidance_text(row: pd.Series) -> str:
    """A guidance rule in words: its classifier, and its gradient's factor where it is not 1."""
    title, factor = title_of(row["guidance"]), row["gradient_factor"]
    if pd.isna(row["classifier"]):
        return title
    return f"{title} ({row['classifier']}{'' if factor == 1 else f', gradient x {factor:g}'})"


def flow_text(arm: dict, several: bool) -> str:
    """How a row calls an arm's flow: by its neighbours only where there are several."""
    one = "one flow a scale" if arm["train_on"] == "own_scale" else "one flow for all"
    return one + (f", {arm['space']} k = {arm['k']}" if several else "")


def lines(summary: pd.DataFrame, metrics: list[str], settings: dict) -> list[dict]:
    """A line for each experiment, scale and state; real points once for each dataset, before its first experiment."""
    found, seen = [], set()
    for experiment, setting in settings.items():
        mine = summary[summary["experiment"] == experiment]
        arms, guidance = arms_of(mine), guidance_text(mine.iloc[0])
        several = len({(arm["space"], arm["k"]) for arm in arms.values()}) > 1
        if setting["data"] not in seen:
            seen.add(setting["data"])
            line = {"Data": setting["data"], "Guidance": "none: fresh real points", "Scale": "-", "Post.": "-"}
            real = mine[mine["state"] == "real"]
            found.append(line | _values(real, metrics))
        for scale, part in mine.dropna(subset="scale").groupby("scale", sort=False):
            line = {"Data": setting["data"], "Guidance": guidance, "Scale": shown(scale)}
            found.append(line | {"Post.": "no"} | _values(part[part["state"] == "before"], metrics))
            for name, arm in arms.items():
                after = part[(part["state"].isin(["after", "targets"])) & (part["arm"] == name)]
                said = flow_text(arm, several) + control_text(name, arm["space"], arm["k"])
                found.append(line | {"Post.": said} | _values(after, metrics))
            controls = part[part["state"] == "retrieval"]
            for _, control in controls.groupby(["neighbour_space", "k"], sort=False):  # arms that share it
                found.append(line | {"Post.": "retrieval control"} | _values(control, metrics))
    return found


def _values(part: pd.DataFrame, metrics: list[str]) -> dict:
    values = {}
    for metric in metrics:
        row, column = part[part["metric"] == metric].head(1), COLUMNS[metric]
        said = "" if row.empty else number(row["mean"].iloc[0], row["spread"].iloc[0], column.digits)
        values[column.head] = said
    return values


def ratio_lines(summary: pd.DataFrame, scales: list[float], arm: str, paper: dict) -> list[dict]:
    """Tab. 1: a line for each class and scale."""
    found = []
    for label in sorted(summary["label"].dropna().unique()):
        printed = paper.get(f"class_{int(label)}", [])
        for i, scale in enumerate(scales):
            part = summary[(summary["label"] == label) & (summary["scale"] == scale)]
            value = {
                (row.state, row.metric): row for row in part[part["arm"].isna() | (part["arm"] == arm)].itertuples()
            }

            def said(state: str, metric: str, value=value) -> str:
                return number(value[state, metric].mean, value[state, metric].spread, COLUMNS[metric].digits)

            ours = [said("after", metric) for metric in ("ratio_1", "ratio_10", "ratio_all")]
            line: dict[Any, str] = {"Class": str(int(label)), "Scale": shown(scale)}
            line[("ratio, worst 1 % / 10 % / all", "paper")] = _triple(printed[i]) if i < len(printed) else ""
            line[("ratio, worst 1 % / 10 % / all", "here")] = " / ".join(ours)
            redrawn = [said("redraw", metric) for metric in ("ratio_1", "ratio_10", "ratio_all")]
            line[("ratio, worst 1 % / 10 % / all", "another generation")] = " / ".join(redrawn)
            for metric, head in (("neighbour_mean", "NN distance, mean"), ("neighbour_99", "NN distance, 99 %")):
                line[(head, "before")], line[(head, "after")] = said("before", metric), said("after", metric)
            for state in ("before", "after"):
                line[("right class", state)] = said(state, "right_class")
            found.append(line)
    return found


def _triple(values: list[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)


def notes(
    rows: pd.DataFrame, contents: list[dict], job: Job, metrics: list[str], arms: list[str] | None = None
) -> list[str]:
    """Sentences below a table that shows these metrics and, of the arms, these or all: sizes, definitions, settings."""
    seeds, settings = sorted(rows["seed"].unique().tolist()), job.params["settings"]
    spread = "s {}; ± is the standard deviation over them" if len(seeds) > 1 else " {}"
    sentences = [
        f"{contents[0]['n']} generations a scale, none of them trained on; training"
        f" seed{spread.format(', '.join(map(str, seeds)))}.",
        f"Real points: {contents[0]['real']['held_out']} held-out ones in all classes.",
        *meanings("points", metrics, recipes(job)),
    ]
    if arms is None:
        sentences.append(
            "Retrieval control: each generation replaced by a random one of its k nearest training points of its class."
        )
    alike: dict[str, list[str]] = {}
    for name, setting in settings.items():
        alike.setdefault(setting_text(setting, arms), []).append(name)
    return sentences + [f"{', '.join(names)}: {text}" for text, names in alike.items()]


def setting_text(setting: dict, arms: list[str] | None) -> str:
    """How an experiment was made, and of its arms these or all."""
    base, sampler, pool = setting["base"], setting["sampler"], setting["pool"]
    made = f"base of {base['steps']} steps, batch {base['batch_size']}" if base else "base with weights from outside"
    note = f"{made}; {sampler['kind']}, {sampler['steps']} steps"
    for arm, flow in setting["flows"].items():
        if arms is not None and arm not in arms:
            continue
        of = setting["arms"][arm]
        own = of["train_on"] == "own_scale"
        trained = "at its scale" if own else f"at scales {', '.join(map(shown, pool['scales']))}"
        note += (
            f"; {flow_text(of, several=False)}: {pool['n']} generations {trained}, k = {of['k']}, {flow['steps']} steps"
            f" of batch {flow['batch_size']}, Dopri5 at rtol {flow['rtol']:g}"
        )
    return note + "."
