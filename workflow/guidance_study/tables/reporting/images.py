"""Tables: from measured rows to a tidy summary, the paper's form, and the notes that say what the numbers are."""

import pandas as pd

from guidance_study.support.text import shown
from guidance_study.tables.reporting.paper import beside, not_run, printed

STATES = {"real": "-", "before": "no", "after": "yes", "retrieval": "retrieval control"}
METRICS = {
    "frechet": "Fréchet distance", "kid": "KID x 1000", "accuracy": "accuracy", "precision": "precision",
    "recall": "recall", "density": "density", "coverage": "coverage", "near_copies": "near copies",
}  # fmt: skip
REFERENCES = {"train": "training set", "held_out": "held-out set"}
SPACES = {"evaluator": "the penultimate layer of an evaluation classifier that feeds no neighbour space",
          "inception": "clean-fid's Inception (2048; the Fréchet distance is FID)"}  # fmt: skip
ALL = "all"  # in the place of a class
NO_SPACE = "none"  # for metrics of classes and pixels
NO_REFERENCE = "none"  # for metrics that compare with no real data


def summarise(rows: pd.DataFrame, params: dict) -> pd.DataFrame:
    """One line for each experiment, state, arm, metric, space, reference, class (or all) and scale.

    `mean` is over seeds and blocks, `minimum` the smallest block; `spread` is the standard deviation over the seeds'
    means where there are several seeds, else over the disjoint blocks of generations; `spread_over` says which.
    """
    spec = params["spec"]
    rows = rows[rows["metric"].isin(spec["metrics"])].copy()
    rows = rows[(rows["state"] != "real") | (rows["experiment"] == rows["experiment"].iloc[0])]  # the same for all
    rows["arm"] = rows["arm"].fillna("")
    rows["label"] = rows["label"].map(lambda label: ALL if pd.isna(label) else str(int(label)))
    rows["space"] = rows["space"].fillna(NO_SPACE)
    rows.loc[rows["metric"] == "accuracy", "space"] = NO_SPACE
    if spec["spaces"] is not None:
        rows = rows[rows["space"].isin([*spec["spaces"], NO_SPACE])]
    rows.loc[rows["metric"] == "kid", "value"] *= 1000
    rows["reference"] = rows["reference"].fillna(NO_REFERENCE)
    rows = rows[rows["reference"].isin([*spec["references"], NO_REFERENCE])]
    if spec["arms"] is not None:
        rows = rows[rows["arm"].isin(["", *spec["arms"]])]
    if not spec["controls"]:
        rows = rows[rows["state"] != "retrieval"]
    by = ["experiment", "state", "arm", "metric", "space", "reference", "label", "scale"]
    by_seed = rows.groupby([*by, "seed"], sort=False)["value"].mean()
    seeds, blocks = rows["seed"].nunique(), rows["block"].nunique()
    over = "seeds" if seeds > 1 else "blocks"
    spread = by_seed.groupby(by, sort=False).std() if seeds > 1 else rows.groupby(by, sort=False)["value"].std()
    summary = by_seed.groupby(by, sort=False).mean().rename("mean").reset_index()
    smallest = rows.groupby(by, sort=False)["value"].min()
    index = pd.MultiIndex.from_frame(summary[by])
    summary["spread"] = spread.reindex(index).to_numpy()
    summary["minimum"] = smallest.reindex(index).to_numpy()
    return summary.assign(spread_over=over, seeds=seeds, blocks=blocks)


def pivot(summary: pd.DataFrame, params: dict) -> pd.DataFrame:
    """The paper's form: a row for each guidance, neighbour space, k and state; a column for each scale."""
    settings, lines, paper = params["settings"], [], params.get("paper")
    summary = summary[summary["label"] == ALL]
    titles = [setting["guidance"] for setting in settings.values()]
    several = summary["metric"].nunique() > 1
    spaces = summary.loc[summary["space"] != NO_SPACE, "space"].nunique() > 1
    for (experiment, arm, state), part in summary.groupby(["experiment", "arm", "state"], sort=False):
        arms, guidance = settings[experiment]["arms"], settings[experiment]["guidance"]
        chosen = arms.get(arm, {"space": "-", "k": "-", "train_on": "pool"})
        own = " (one flow a scale)" if chosen["train_on"] == "own_scale" else ""
        line = {"Experiment": experiment} if titles.count(guidance) > 1 else {}
        guidance = "none: real held-out images" if state == "real" else guidance
        line |= {"Guidance": guidance, "NN space": chosen["space"] + own, "k": str(chosen["k"]), "Post.": STATES[state]}
        for row in part.itertuples():
            head = [REFERENCES.get(row.reference)] if row.reference != NO_REFERENCE else []
            head = [METRICS[row.metric], *head] if several else head or [METRICS[row.metric]]
            head += [row.space] if spaces and row.space != NO_SPACE else []
            cell = _number(row.metric, row.mean, row.spread)
            if paper and row.reference == "train":
                outside = settings[experiment]["training"] is None
                cell = beside(cell, row, printed(paper, state, chosen["space"], chosen["k"], row.scale, outside))
            line[(", ".join(head), shown(row.scale))] = cell
        place = state != "real", list(settings).index(experiment), list(arms).index(arm) if arm else -1
        place += (list(STATES).index(state),)
        lines.append((place, line))
    lines = [line for _, line in sorted(lines, key=lambda pair: pair[0])]
    if paper:
        lines += not_run(paper, summary, next(iter(settings.values()))["arms"].values())
    table = pd.DataFrame(lines)
    measured = [c for c in table.columns if isinstance(c, tuple)]
    named = [c for c in ("Experiment", "Guidance", "NN space", "k", "Post.") if c in table.columns]
    table = table[named + sorted(measured, key=_column_order(measured))]
    table.columns = pd.MultiIndex.from_tuples([c if isinstance(c, tuple) else ("", c) for c in table.columns])
    return table


def _column_order(columns: list[tuple[str, str]]):
    """Columns of one metric and reference side by side, by scale; metrics and references in their first order."""
    heads = list(dict.fromkeys(head for head, _ in columns))
    return lambda column: (heads.index(column[0]), float(column[1]))


def _number(metric: str, mean: float, spread: float) -> str:
    digits = 2 if metric in ("frechet", "density") else 3
    return f"{mean:.{digits}f}" + ("" if pd.isna(spread) else f" ± {spread:.{digits}f}")


def notes(rows: pd.DataFrame, contents: list[dict], params: dict) -> list[str]:
    """Sentences below a table: sample sizes, seeds, spread, feature space, controls, settings, the floor."""
    spec, settings = params["spec"], params["settings"]
    seeds, blocks = sorted(rows["seed"].unique().tolist()), int(rows["block"].max()) + 1
    size, real = contents[0]["generations_per_block"], contents[0]["real"]
    over = f"{len(seeds)} training seeds" if len(seeds) > 1 else "the blocks"
    plural = "s" if len(seeds) > 1 else ""
    spread = f"; ± is the standard deviation over {over}" if len(seeds) > 1 or blocks > 1 else ""
    sentences = [
        f"{blocks} disjoint block{'s' if blocks > 1 else ''} of {size} generations a scale, against {real['train']}"
        f" training and {real['held_out']} held-out real images;"
        f" training seed{plural} {', '.join(map(str, seeds))}{spread}.",
        _spaces(rows, spec, settings),
        f"First row: the {real['held_out']} held-out real images in the generations' place, for orientation; being"
        " fewer, they stand farther than as many as a block's would.",
    ]
    if spec["controls"] and (rows["state"] == "retrieval").any():
        sentences.append(
            "Retrieval control: each generation replaced by a random one of its k nearest training images of its class."
        )
    first = next(iter(settings.values()))
    if set(spec["metrics"]) & {"precision", "recall", "density", "coverage"}:
        most = f" of {first['manifold_n']} images of a set" if size > first["manifold_n"] else ""
        sentences.append(f"Precision to coverage: balls that reach the neighbour number {first['manifold_k']}{most}.")
    if "near_copies" in spec["metrics"]:
        sentences.append(
            "Near copies: generations closer to a training image, in pixels, than"
            f" {1 - first['copy_quantile']:.0%} of the training images are to another; retrieval's are"
            " copies by construction."
        )
    if first["per_class"]:
        sentences.append("The .csv has the Fréchet distances of every class too.")
    if params.get("paper"):
        sentences.append("In brackets: smallest block; the paper's number, and ours less the paper's.")
    return sentences + [_setting_note(name, setting) for name, setting in settings.items()]


def _spaces(rows: pd.DataFrame, spec: dict, settings: dict) -> str:
    """What the features are that distances are taken between."""
    kinds = {"evaluator": "evaluator", **next(iter(settings.values()))["spaces"]}
    used = [s for s in rows["space"].dropna().unique() if spec["spaces"] is None or s in spec["spaces"]]
    named = [f"{name}: {SPACES.get(kinds[name], kinds[name])}" if len(used) > 1 else SPACES.get(kinds[name], name)
             for name in used if name in kinds]  # fmt: skip
    which = "such network" if used == ["evaluator"] else "space"
    return f"Features: {'; '.join(named)}. Fréchet distances compare only within one {which} and one sample size."


def _setting_note(name: str, setting: dict) -> str:
    """What one experiment was made with."""
    sampler, pool, training = setting["sampler"], setting["pool"], setting["training"]
    base = f"{training['steps']} steps" if training else "weights from outside"
    taken = f"{sampler['steps']} steps" if "steps" in sampler else f"rtol {sampler['rtol']:g}"
    note = f"{name}: {setting['network']} base, {base}; {sampler['kind']}, {taken}"
    trained_on = {arm["train_on"] for arm in setting["arms"].values()}
    if "pool" in trained_on:
        scales = ", ".join(map(shown, pool["scales"]))
        note += f"; postprocessors trained on {pool['n']} generations at scales {scales}, an equal share each"
    if "own_scale" in trained_on:
        note += f"; one-flow-a-scale postprocessors on {pool['n']} generations at that scale"
    for flow in setting["flows"]:
        note += f"; flow: {flow['steps']} steps, Dopri5 at rtol {flow['solver']['rtol']:g}"
    return note + "."
