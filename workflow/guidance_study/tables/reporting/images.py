"""Tables: from measured rows to a tidy summary, the paper's form, and the notes that say what the numbers are."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from guidance_study.execution.job import Job
from guidance_study.metrics import columns, meanings
from guidance_study.support.text import shown
from guidance_study.tables.reporting import SETTINGS, arms_of, control_text, recipes, title_of
from guidance_study.tables.reporting.paper import beside, not_run, printed
from guidance_study.tables.reporting.render import number

STATES = {"real": "-", "before": "no", "after": "yes", "retrieval": "retrieval control"}
REFERENCES = {"train": "training set", "held_out": "held-out set"}
SPACES = {"evaluator": "the penultimate layer of an evaluation classifier that feeds no neighbour space",
          "inception": "clean-fid's Inception (2048; the Fréchet distance is FID)"}  # fmt: skip
ALL = "all"  # in the place of a class
NO_SPACE = "none"  # for metrics of classes and pixels
NO_REFERENCE = "none"  # for metrics that compare with no real data


def summarise(rows: pd.DataFrame, spec: dict) -> pd.DataFrame:
    """One line for each experiment, state, arm, metric, space, reference, class (or all) and scale.

    `spec` is the table's. `mean` is over seeds and repeats, `minimum` the smallest repeat; `spread` is the standard
    deviation over the seeds' means where there are several seeds, else over the repeats, disjoint sets of generations;
    `spread_over` says which. Numbers are as they are shown: KID times 1000.
    """
    rows = rows[rows["metric"].isin(spec["metrics"])]
    rows = rows[(rows["state"] != "real") | (rows["experiment"] == rows["experiment"].iloc[0])]  # the same for all
    rows = rows.sort_values("metric", key=lambda names: names.map(spec["metrics"].index), kind="stable")
    rows["label"] = rows["label"].map(lambda label: ALL if pd.isna(label) else str(int(label)))
    rows["space"] = rows["space"].fillna(NO_SPACE)
    if spec["spaces"] is not None:
        rows = rows[rows["space"].isin([*spec["spaces"], NO_SPACE])]
    rows["value"] *= rows["metric"].map({name: column.factor for name, column in columns("images").items()})
    rows["reference"] = rows["reference"].fillna(NO_REFERENCE)
    rows = rows[rows["reference"].isin([*spec["references"], NO_REFERENCE])]
    if spec["arms"] is not None:
        rows = rows[rows["arm"].isna() | rows["arm"].isin(spec["arms"])]
    if not spec["controls"]:
        rows = rows[rows["state"] != "retrieval"]
    by = ["experiment", *SETTINGS, "state", "arm", "metric", "space", "reference", "label", "scale"]
    alike = {"sort": False, "dropna": False}
    by_seed = rows.groupby([*by, "seed"], **alike)["value"].mean()
    seeds, repeats = rows["seed"].nunique(), rows["repeat"].nunique()
    several = seeds > 1
    summary = by_seed.groupby(by, **alike).mean().rename("mean").reset_index()
    spread = by_seed.groupby(by, **alike).std() if several else rows.groupby(by, **alike)["value"].std()
    summary["spread"] = spread.to_numpy()
    summary["minimum"] = rows.groupby(by, **alike)["value"].min().to_numpy()
    return summary.assign(spread_over="seeds" if several else "repeats", seeds=seeds, repeats=repeats)


def pivot(summary: pd.DataFrame, params: dict) -> pd.DataFrame:
    """The paper's form: a row for each guidance, neighbour space, k and state; a column for each scale."""
    settings, paper, shows = params["settings"], params.get("paper"), columns("images")
    placed: list[tuple[tuple[int, ...], dict]] = []  # lines, and where they stand
    summary = summary[summary["label"] == ALL]
    rules = summary.drop_duplicates("experiment")["guidance"].tolist()
    several = summary["metric"].nunique() > 1
    spaces = summary.loc[summary["space"] != NO_SPACE, "space"].nunique() > 1
    arms = {name: list(arms_of(summary[summary["experiment"] == name])) for name in settings}
    for (experiment, arm, state), part in summary.groupby(["experiment", "arm", "state"], sort=False, dropna=False):
        first = part.iloc[0]
        space, k = ("-", "-") if pd.isna(arm) else (first["neighbour_space"], int(first["k"]))
        own = " (one flow a scale)" if first["train_on"] == "own_scale" else ""
        named = "-" if state == "real" else experiment
        line: dict[Any, str] = {"Experiment": named} if rules.count(first["guidance"]) > 1 else {}
        guidance = "none: real held-out images" if state == "real" else title_of(first["guidance"])
        line |= {
            "Guidance": guidance,
            "NN space": space + own,
            "k": str(k),
            "Post.": STATES[state] + ("" if pd.isna(arm) else control_text(str(arm), space, k)),
        }
        for row in part.itertuples():
            head = [REFERENCES[row.reference]] if row.reference != NO_REFERENCE else []
            head = [shows[row.metric].head, *head] if several else head or [shows[row.metric].head]
            head += [row.space] if spaces and row.space != NO_SPACE else []
            cell = number(row.mean, row.spread, shows[row.metric].digits)
            if paper and row.reference == "train":
                outside = settings[experiment]["training"] is None
                cell = beside(cell, row, printed(paper, state, space, k, row.scale, outside))
            line[(", ".join(head), shown(row.scale))] = cell
        which = -1 if pd.isna(arm) else arms[experiment].index(arm)
        place = state != "real", list(settings).index(experiment), which, list(STATES).index(state)
        placed.append((place, line))
    lines = [line for _, line in sorted(placed, key=lambda pair: pair[0])]
    if paper:
        lines += not_run(paper, summary, arms_of(summary).values())
    table = pd.DataFrame(lines)
    measured = [c for c in table.columns if isinstance(c, tuple)]
    named = [c for c in ("Experiment", "Guidance", "NN space", "k", "Post.") if c in table.columns]
    table = table[named + sorted(measured, key=_column_order(measured))]
    table.columns = pd.MultiIndex.from_tuples([c if isinstance(c, tuple) else ("", c) for c in table.columns])
    return table


def _column_order(columns: list[tuple[str, str]]) -> Callable[[tuple[str, str]], tuple[int, float]]:
    """Columns of one metric and reference side by side, by scale; metrics and references in their first order."""
    heads = list(dict.fromkeys(head for head, _ in columns))
    return lambda column: (heads.index(column[0]), float(column[1]))


def notes(rows: pd.DataFrame, contents: list[dict], job: Job) -> list[str]:
    """Sentences below a table: sample sizes, seeds, spread, feature space, controls, metrics, settings, the floor."""
    spec, settings, measured = job.params["spec"], job.params["settings"], recipes(job)
    seeds, repeats = sorted(rows["seed"].unique().tolist()), int(rows["repeat"].max()) + 1
    size, real = contents[0]["n"], contents[0]["real"]
    over = f"{len(seeds)} training seeds" if len(seeds) > 1 else "the repeats"
    plural = "s" if len(seeds) > 1 else ""
    spread = f"; ± is the standard deviation over {over}" if len(seeds) > 1 or repeats > 1 else ""
    sentences = [
        f"{repeats} disjoint repeat{'s' if repeats > 1 else ''} of {size} generations a scale, against {real['train']}"
        f" training and {real['held_out']} held-out real images;"
        f" training seed{plural} {', '.join(map(str, seeds))}{spread}.",
        *_spaces(rows, spec, settings),
        f"First row: the {real['held_out']} held-out real images in the generations' place, for orientation"
        + ("; being fewer, they stand farther than as many as a repeat's would." if real["held_out"] < size else "."),
    ]
    if spec["controls"] and (rows["state"] == "retrieval").any():
        sentences.append(
            "Retrieval control: each generation replaced by a random one of its k nearest training images of its class."
        )
    sentences += meanings("images", spec["metrics"], measured)
    if any(metric.get("per_class") for metric in measured):
        sentences.append("The .csv has the Fréchet distances of every class too.")
    if job.params.get("paper"):
        sentences.append("In brackets: smallest repeat; the paper's number, and ours less the paper's.")
    alone = {name: arms_of(rows[rows["experiment"] == name]) for name in settings}
    return sentences + [_setting_note(name, setting, _chosen(alone[name], spec)) for name, setting in settings.items()]


def _chosen(arms: dict[str, dict], spec: dict) -> list[dict]:
    """The arms that a table shows."""
    return [arm for name, arm in arms.items() if spec["arms"] is None or name in spec["arms"]]


def _spaces(rows: pd.DataFrame, spec: dict, settings: dict) -> list[str]:
    """What the features are that distances are taken between, where any are."""
    kinds = {"evaluator": "evaluator", **next(iter(settings.values()))["spaces"]}
    used = [
        s
        for s in rows.loc[rows["metric"].isin(spec["metrics"]), "space"].dropna().unique()
        if spec["spaces"] is None or s in spec["spaces"]
    ]
    named = [f"{name}: {SPACES.get(kinds[name], kinds[name])}" if len(used) > 1 else SPACES.get(kinds[name], name)
             for name in used if name in kinds]  # fmt: skip
    return [f"Features: {'; '.join(named)}."] if named else []


def _setting_note(name: str, setting: dict, arms: list[dict]) -> str:
    """What one experiment was made with."""
    sampler, pool, training = setting["sampler"], setting["pool"], setting["training"]
    base = f"{training['steps']} steps" if training else "weights from outside"
    taken = f"{sampler['steps']} steps" if "steps" in sampler else f"rtol {sampler['rtol']:g}"
    note = f"{name}: {setting['network']} base, {base}; {sampler['kind']}, {taken}"
    trained_on = {arm["train_on"] for arm in arms}
    if "pool" in trained_on:
        scales = ", ".join(map(shown, pool["scales"]))
        note += f"; postprocessors trained on {pool['n']} generations at scales {scales}, an equal share each"
    if "own_scale" in trained_on:
        note += f"; one-flow-a-scale postprocessors on {pool['n']} generations at that scale"
    for flow in setting["flows"]:
        note += f"; flow: {flow['steps']} steps, Dopri5 at rtol {flow['solver']['rtol']:g}"
    return note + "."
