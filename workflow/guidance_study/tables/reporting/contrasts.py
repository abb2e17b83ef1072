"""Contrasts: one number a training seed from measured rows, and the answer that the numbers give."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from guidance_study.support.errors import StudyError
from guidance_study.tables.reporting import statistics

if TYPE_CHECKING:
    from guidance_study.tables.contrasts import Contrast, ContrastsTable, Side

SIGNIFICANT = 0.05  # of Holm's adjusted p
COLUMNS = ("of", "seed", "metric", "value", "state", "arm", "run", "scale", "space", "reference", "label")


def values(rows: pd.DataFrame, contrast: "Contrast") -> dict[int, float]:
    """Training seed -> the contrast's number."""
    sides = [_side(rows, contrast, side) for side in contrast.sides]
    seeds = sorted(set.intersection(*(set(side) for side in sides)))
    if not seeds:
        raise StudyError(f"nothing is measured that answers '{contrast.question}'")
    found = {}
    for seed in seeds:
        numbers = [side[seed] for side in sides]
        main, beside = (numbers[:2], numbers[2:]) if contrast.right else (numbers[:1], numbers[1:])
        found[seed] = _value(main, contrast.value) - (_value(beside, contrast.value) if beside else 0.0)
    return found


def _value(sides: list[float], how: str) -> float:
    if len(sides) == 1:
        return sides[0]
    return float(np.log(sides[0] / sides[1])) if how == "log_ratio" else sides[0] - sides[1]


def _side(rows: pd.DataFrame, contrast: "Contrast", side: "Side") -> dict[int, float]:
    """Training seed -> the mean over scales and repeats of what one side of a contrast is."""
    mine = rows[(rows["of"] == contrast.of) & (rows["metric"] == (side.metric or contrast.metric))]
    mine = mine[mine["label"].isna()]
    mine = mine[mine["state"] == side.means] if side.run is None else mine[mine["run"] == side.run]
    mine = mine[mine["arm"].isna() if side.arm is None else mine["arm"] == side.arm]
    if side.scales is not None:
        mine = mine[mine["scale"].isna() | mine["scale"].isin(side.scales)]
    if mine["space"].notna().any():
        space = contrast.space or mine["space"].dropna().iloc[0]
        mine = mine[mine["space"] == space]
    if mine["reference"].notna().any():
        there = set(mine["reference"].dropna())
        wanted = contrast.reference or ("held_out" if "held_out" in there else "train")
        mine = mine[mine["reference"] == (wanted if wanted in there else next(iter(there)))]
    by_scale = mine.groupby(["seed", mine["scale"].fillna(-1)])["value"].mean()
    return by_scale.groupby(level=0).mean().dropna().to_dict()


def answered(rows: pd.DataFrame, contrasts: "list[Contrast]", family: int | None) -> pd.DataFrame:
    """A line for each question: what was compared, seeds, mean, interval, p, what was decided."""
    rows = rows.reindex(columns=dict.fromkeys([*rows.columns, *COLUMNS]))
    numbers = [list(values(rows, contrast).values()) for contrast in contrasts]
    p = [
        statistics.tost(x, c.within) if c.within is not None else statistics.t_test(x, c.threshold)
        for x, c in zip(numbers, contrasts, strict=True)
    ]
    adjusted = statistics.holm(p, family)
    found = []
    for contrast, x, raw, holm in zip(contrasts, numbers, p, adjusted, strict=True):
        interval = statistics.t_interval(x)
        decided = decision(contrast, interval, holm)
        found.append(
            {
                "question": contrast.question,
                "of": contrast.of,
                "metric": contrast.metric,
                "value": contrast.value,
                "left": contrast.left.words,
                "right": contrast.right.words if contrast.right else "",
                "beside": " less ".join(side.words for side in contrast.beside),
                "seeds": interval.n,
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "p": raw if interval.n > 1 else None,
                "p_holm": holm if interval.n > 1 else None,
                "decided": decided,
                "answer": _words(contrast, x, decided),
            }
        )
    return pd.DataFrame(found)


def decision(contrast: "Contrast", interval: statistics.Interval, p: float) -> str:
    """holds, does not hold, or undecided: by the interval, and Holm's adjusted p."""
    if interval.low is None or interval.high is None:
        return "undecided"
    low, high = interval.low, interval.high
    if contrast.within is not None:
        if p < SIGNIFICANT:
            return "holds"
        return "does not hold" if low > contrast.within or high < -contrast.within else "undecided"
    above, below = low > contrast.threshold, high < contrast.threshold
    if p >= SIGNIFICANT or not (above or below):
        return "undecided"
    return "holds" if above == (contrast.expects == "above") else "does not hold"


def _words(contrast: "Contrast", x: list[float], decided: str) -> str:
    """The answer to a question."""
    if len(x) == 1:
        return "one seed: not decided"
    if decided == "holds":
        return f"yes, equal within {contrast.within:g}" if contrast.within is not None else "yes"
    if decided == "does not hold":
        return "no" if contrast.within is not None else "no: the opposite"
    seen, needed = statistics.detectable(x), statistics.seeds_needed(x, contrast.threshold)
    more = f"; {needed} seeds would decide one as seen" if needed and contrast.within is None else ""
    return f"cannot be decided at this budget: {len(x)} seeds see an effect of {seen:.2g}{more}"


def lines(found: pd.DataFrame) -> list[dict]:
    """A line for each question, to be read."""
    return [
        {
            "Question": row.question,
            "Data": row.of.replace("_", " "),
            "What": f"{'log ratio of ' if row.value == 'log_ratio' else ''}{row.metric.replace('_', ' ')}",
            "Left": row.left,
            "less right": row.right + (f", less that of {row.beside}" if row.beside else ""),
            "Seeds": str(row.seeds),
            "Mean": f"{row.mean:.3g}",
            "95 % interval": "-" if pd.isna(row.low) else f"{row.low:.3g} to {row.high:.3g}",
            "p (Holm)": "-" if pd.isna(row.p_holm) else f"{row.p_holm:.2g}",
            "Answer": row.answer,
        }
        for row in found.itertuples()
    ]


def notes(found: pd.DataFrame, table: "ContrastsTable") -> list[str]:
    """Sentences below the table."""
    seeds = sorted({int(n) for n in found["seeds"]})
    sentences = [
        f"One number a training seed ({', '.join(map(str, seeds))} seeds): data, split, base, classifiers, flows and"
        " judges are drawn anew for each; both sides of a contrast share their noises.",
        "Interval: Student's t over seeds. p: two-sided t test against the threshold, or two one-sided tests of"
        f" equivalence; corrected by Holm for {table.family or len(found)} tests.",
        "Yes: the interval lies beyond the threshold where it is expected, and p is below 0.05; no: beyond it on the"
        " other side. Else it says which effect 80 % of such runs would have seen.",
    ]
    thresholds = {c.question: c.threshold for c in table.contrasts if c.threshold}
    return sentences + [f"Threshold of '{question}': {value:g}." for question, value in thresholds.items()]
