"""Statistics of one number a training seed: intervals, equivalence, several tests, what could have been seen."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95  # of intervals; tests are at 1 - LEVEL
POWER = 0.8  # with which an effect "could have been seen"


@dataclass(frozen=True)
class Interval:
    """Mean of n numbers and the ends of its Student's t interval; None for the ends of a single number."""

    n: int
    mean: float
    low: float | None = None
    high: float | None = None


def t_interval(values: Sequence[float], level: float = LEVEL) -> Interval:
    """Student's t interval of the mean, df = n - 1. ValueError: no number."""
    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        raise ValueError("There is no number to take an interval of.")
    if len(x) == 1:
        return Interval(1, float(x[0]))
    half = _error(x) * float(stats.t.ppf((1 + level) / 2, len(x) - 1))
    return Interval(len(x), float(x.mean()), float(x.mean() - half), float(x.mean() + half))


def t_test(values: Sequence[float], threshold: float = 0.0) -> float:
    """Two-sided p of Student's t test that the mean is the threshold; 1 for a single number."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return 1.0
    if _error(x) == 0:
        return float(x.mean() == threshold)
    return float(2 * stats.t.sf(abs(x.mean() - threshold) / _error(x), len(x) - 1))


def tost(values: Sequence[float], margin: float) -> float:
    """p of two one-sided tests that the mean lies within +/- margin (Schuirmann 1987); 1 for a single number."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return 1.0
    if _error(x) == 0:
        return float(abs(x.mean()) >= margin)
    low, high = (x.mean() + margin) / _error(x), (margin - x.mean()) / _error(x)
    return float(max(stats.t.sf(low, len(x) - 1), stats.t.sf(high, len(x) - 1)))


def different(values: Sequence[float], margin: float) -> float:
    """p of the test that the mean lies outside +/- margin, against that it lies within; 1 for a single number."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return 1.0
    beyond = abs(x.mean()) - margin
    if _error(x) == 0:
        return float(beyond <= 0)
    return float(min(1.0, 2 * stats.t.sf(beyond / _error(x), len(x) - 1)))


def equal_within(values: Sequence[float], alpha: float = 1 - LEVEL) -> float:
    """The smallest margin within which `tost` would call the mean 0 at this level; of two numbers or more."""
    x = np.asarray(values, dtype=np.float64)
    return float(abs(x.mean()) + _error(x) * stats.t.ppf(1 - alpha, len(x) - 1))


def holm(p: Sequence[float], family: int | None = None) -> list[float]:
    """Holm's (1979) adjusted p of tests, in their order; `family`: tests in all, those that were not run among them."""
    m, found, least = max(family or 0, len(p)), [0.0] * len(p), 0.0
    for rank, i in enumerate(np.argsort(p, kind="stable")):
        least = max(least, min(1.0, (m - rank) * p[i]))
        found[i] = least
    return found


def detectable(values: Sequence[float], alpha: float = 1 - LEVEL, power: float = POWER) -> float | None:
    """The smallest true distance from the threshold that a two-sided test of so many numbers of this spread sees.

    With this power, by the noncentral t distribution; None of a single number.
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return None
    return float(_error(x) * _shift(len(x), alpha, power))


def seeds_needed(
    values: Sequence[float], threshold: float = 0.0, alpha: float = 1 - LEVEL, most: int = 10_000
) -> int | None:
    """Seeds with which a distance as that seen would be told from the threshold with POWER; None above `most`."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        return None
    distance, deviation = abs(x.mean() - threshold), x.std(ddof=1)
    told = lambda n: bool(deviation / n**0.5 * _shift(n, alpha, POWER) <= distance)  # noqa: E731
    n = 2 + bisect_left(range(2, most + 1), True, key=told)
    return n if n <= most else None


def bootstrap(values: Sequence[float], draws: int = 2000, seed: int = 0, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval of the mean of samples within one seed: for display alone, it decides nothing."""
    x = np.asarray(values, dtype=np.float64)
    source = np.random.Generator(np.random.Philox(key=seed))
    means = x[source.integers(len(x), size=(draws, len(x)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _error(x: np.ndarray) -> float:
    """Standard error of the mean."""
    return float(x.std(ddof=1) / len(x) ** 0.5)


def _shift(n: int, alpha: float, power: float) -> float:
    """Noncentrality at which a two-sided t test of n numbers has this power."""
    edge = stats.t.ppf(1 - alpha / 2, n - 1)
    beyond = lambda d: stats.nct.sf(edge, n - 1, d) - power  # noqa: E731
    above = next(top for top in edge * 2.0 ** np.arange(1, 99) if beyond(top) > 0)  # of two numbers, far above edge
    return float(optimize.brentq(beyond, 0, above))
