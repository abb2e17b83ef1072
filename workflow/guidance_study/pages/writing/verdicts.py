"""From one number a training seed to a verdict on each claim, by the rules of the board."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from guidance_study.tables.reporting import statistics
from guidance_study.tables.reporting.contrasts import SIGNIFICANT, Asked, p_value, side, undecided

if TYPE_CHECKING:
    from guidance_study.tables.asking import Contrast

HOLDS, NOT, UNDECIDED, NOT_RUN = "holds", "does not hold", "undecided", "not run"


@dataclass(frozen=True)
class Verdict:
    """On a claim: in a word, why in more, and Holm's p."""

    word: str
    why: str
    p: float | None


def verdicts(claims: "Sequence[tuple[list[Contrast], list[Asked]]]") -> list[Verdict]:
    """On every claim, from its parts and what is known of each; a claim without parts is not run.

    A claim holds where all its parts do (the largest p: intersection-union); it does not where one lies on the other
    side (the smallest p, times the parts). Holm's correction counts every claim, run or not.
    """
    tested = [_tested(parts, asked) for parts, asked in claims]
    adjusted = statistics.holm([1.0 if p is None else p for p, _ in tested], len(claims))
    found = []
    for (parts, asked), (p, word), holm in zip(claims, tested, adjusted, strict=True):
        if p is None:
            found.append(Verdict(NOT_RUN, "", None))
        elif holm < SIGNIFICANT:
            found.append(Verdict(word, "" if word == HOLDS else _against(parts, asked), holm))
        else:
            found.append(Verdict(UNDECIDED, _why(parts, asked, len(claims)), holm))
    return found


def _tested(parts: "list[Contrast]", asked: list[Asked]) -> tuple[float | None, str]:
    """The p of a claim, and the verdict that it is of."""
    if not parts or not any(one.values or one.problem for one in asked):
        return None, NOT_RUN
    if any(one.problem for one in asked):
        return 1.0, UNDECIDED
    p = [p_value(part, one.values) for part, one in zip(parts, asked, strict=True)]
    fits = [side(part, one.values) for part, one in zip(parts, asked, strict=True)]
    against = min([len(parts) * x for x, fit in zip(p, fits, strict=True) if not fit], default=1.0)
    return (max(p), HOLDS) if all(fits) else (min(1.0, against), NOT)


def _against(parts: "list[Contrast]", asked: list[Asked]) -> str:
    """The part that lies on the other side most surely, where there are several."""
    against = [
        (p_value(part, one.values), part.question)
        for part, one in zip(parts, asked, strict=True)
        if not side(part, one.values)
    ]
    return min(against)[1] if len(parts) > 1 else ""


def _why(parts: "list[Contrast]", asked: list[Asked], claims: int) -> str:
    """What an undecided claim lacks: the problem, or what could have been seen of the part that is least clear."""
    for one in asked:
        if one.problem:
            return one.problem
    p = [p_value(part, one.values) for part, one in zip(parts, asked, strict=True)]
    worst = int(np.argmax(p))
    return undecided(parts[worst], asked[worst].values, claims)
