"""Contrasts: one number a training seed from measured rows, and the answer that the numbers give."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from guidance_study.tables.reporting import statistics

if TYPE_CHECKING:
    from guidance_study.tables.asking import Contrast, Side
    from guidance_study.tables.contrasts import ContrastsTable

SIGNIFICANT = 0.05  # of Holm's adjusted p


@dataclass(frozen=True)
class Asked:
    """What is known of a contrast: training seed -> number; else why it has none."""

    numbers: dict[int, float]
    problem: str | None = None

    @property
    def values(self) -> list[float]:
        """The numbers that decide; none where there is a problem."""
        return [] if self.problem else list(self.numbers.values())


def asked(rows: pd.DataFrame, contrast: "Contrast") -> Asked:
    """The contrast's number of every training seed, or the problem: no seed is left out, for that would choose them.

    All sides are seen in the same space, and against the same part of the real data.
    """
    mine = rows[
        rows["label"].isna() & (rows["reference_run"].isna() | (rows["reference_run"] == contrast.reference_run))
    ]
    sides = [_rows(mine[mine["of"] == (side.of or contrast.of)], contrast.metric, side) for side in contrast.sides]
    for column, wanted in (("space", contrast.space), ("reference", contrast.reference or "held_out")):
        shared = _shared(sides, column)
        if shared:
            chosen = wanted if wanted in shared else shared[0]
            sides = [side[side[column].isna() | (side[column] == chosen)] for side in sides]
        elif any(side[column].notna().any() for side in sides):
            return Asked({}, f"its sides share no {column}")
    found = [_by_seed(side) for side in sides]
    seeds = sorted(rows["seed"].unique().tolist())
    if lost := [seed for seed in seeds if any(seed not in side for side in found)]:
        return Asked({}, f"nothing is measured of {_named(lost)}")
    if lost := [seed for seed in seeds if not all(np.isfinite(side[seed]) for side in found)]:
        return Asked({}, f"{_named(lost)} {'has' if len(lost) == 1 else 'have'} no finite number")
    if contrast.value == "log_ratio" and (lost := [s for s in seeds if any(side[s] <= 0 for side in found)]):
        return Asked({}, f"a side of {_named(lost)} is not above 0 and has no logarithm")
    return Asked({seed: _number([side[seed] for side in found], contrast) for seed in seeds})


def _named(seeds: list[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _number(sides: list[float], contrast: "Contrast") -> float:
    """Left less right, or the logarithm of their ratio, less the same of what stands beside."""
    many = 1 + (contrast.right is not None)
    main, beside = sides[:many], sides[many:]
    return _value(main, contrast.value) - (_value(beside, contrast.value) if beside else 0.0)


def _value(sides: list[float], how: str) -> float:
    if len(sides) == 1:
        return sides[0]
    return float(np.log(sides[0] / sides[1])) if how == "log_ratio" else sides[0] - sides[1]


def _rows(mine: pd.DataFrame, metric: str, side: "Side") -> pd.DataFrame:
    """What was measured of one side."""
    mine = mine[mine["metric"] == (side.metric or metric)]
    mine = mine[mine["state"] == side.means] if side.run is None else mine[mine["run"] == side.run]
    mine = mine[mine["arm"].isna() if side.arm is None else mine["arm"] == side.arm]
    return mine if side.scales is None else mine[mine["scale"].isna() | mine["scale"].isin(side.scales)]


def _shared(sides: list[pd.DataFrame], column: str) -> list[str]:
    """Values of a column that all sides have, in their order; those without any do not count."""
    named = [side[column].dropna().unique().tolist() for side in sides]
    named = [values for values in named if values]
    return [value for value in named[0] if all(value in values for values in named)] if named else []


def _by_seed(side: pd.DataFrame) -> dict[int, float]:
    """Training seed -> the mean over scales of the mean over repeats; NaN where a number of it is."""
    means = side.groupby(["seed", side["scale"].fillna(-1)])["value"].agg(lambda x: x.mean(skipna=False))
    found: dict[int, float] = means.groupby(level=0).agg(lambda x: x.mean(skipna=False)).to_dict()
    return found


def answered(rows: pd.DataFrame, contrasts: "list[Contrast]", family: int | None) -> pd.DataFrame:
    """A line for each question: what was compared, seeds, mean, interval, p, what was decided."""
    found = [asked(rows, contrast) for contrast in contrasts]
    tests = max(family or 0, len(contrasts))
    p = [p_value(contrast, one.values) for contrast, one in zip(contrasts, found, strict=True)]
    adjusted = statistics.holm(p, tests)
    table = []
    for contrast, one, raw, holm in zip(contrasts, found, p, adjusted, strict=True):
        interval = statistics.t_interval(one.values) if one.values else statistics.Interval(0, np.nan)
        decided = decision(contrast, one.values, holm)
        answer = f"not answered: {one.problem}" if one.problem else _words(contrast, one.values, decided, tests)
        table.append(
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
                "answer": answer,
                "by_seed": "; ".join(f"{seed}: {value:.6g}" for seed, value in one.numbers.items()),
            }
        )
    return pd.DataFrame(table)


def p_value(contrast: "Contrast", x: list[float]) -> float:
    """Of the test that decides; of an equality the smaller of its two, for one of their nulls alone is true."""
    if contrast.within is None:
        return statistics.t_test(x, contrast.threshold)
    return min(statistics.tost(x, contrast.within), statistics.different(x, contrast.within))


def decision(contrast: "Contrast", x: list[float], holm: float) -> str:
    """holds, does not hold, or undecided: by Holm's adjusted p, and the side on which the numbers lie."""
    if len(x) < 2 or holm >= SIGNIFICANT:
        return "undecided"
    return "holds" if side(contrast, x) else "does not hold"


def side(contrast: "Contrast", x: list[float]) -> bool:
    """Whether the numbers lie on the side that is expected, however surely."""
    if contrast.within is not None:
        return statistics.tost(x, contrast.within) <= statistics.different(x, contrast.within)
    return (float(np.mean(x)) > contrast.threshold) == (contrast.expects == "above")


def _words(contrast: "Contrast", x: list[float], decided: str, tests: int) -> str:
    """The answer to a question."""
    if decided == "holds":
        return f"yes, equal within {contrast.within:g}" if contrast.within is not None else "yes"
    if decided == "does not hold":
        return "no" if contrast.within is not None else "no: the opposite"
    return undecided(contrast, x, tests)


def undecided(contrast: "Contrast", x: list[float], tests: int) -> str:
    """What numbers that decide nothing could have decided, as one of so many tests."""
    if len(x) == 1:
        return "one seed: not decided"
    alpha = SIGNIFICANT / tests
    cannot = f"cannot be decided at this budget: {len(x)} seeds"
    if contrast.within is not None:
        return f"{cannot} would show equality within {statistics.equal_within(x, alpha):.2g}"
    needed = statistics.seeds_needed(x, contrast.threshold, alpha)
    more = f"; {needed} seeds would decide one as seen" if needed else ""
    return f"{cannot} see an effect of {statistics.detectable(x, alpha):.2g}{more}"


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
            "Mean": "-" if pd.isna(row.mean) else f"{row.mean:.3g}",
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
    thresholds = {c.question: c.threshold for c in table.questions if c.threshold}
    return sentences + [f"Threshold of '{question}': {value:g}." for question, value in thresholds.items()]
