"""Statistics against printed quantiles, and their rates in simulated seeds."""

import numpy as np
import pytest
from guidance_study.tables.reporting import statistics
from scipy import stats

RUNS = 4000


def within(rate: float, expected: float) -> bool:
    """Whether a rate of RUNS tries is one that the expected one gives: five standard errors."""
    return abs(rate - expected) < 5 * (expected * (1 - expected) / RUNS) ** 0.5


def test_the_interval_is_students():
    found = statistics.t_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.776445 * (2.5 / 5) ** 0.5  # the 97.5 % quantile of t with 4 degrees of freedom
    assert (found.n, found.mean) == (5, 3.0)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half), abs=1e-6)
    assert statistics.t_interval([2.0]) == statistics.Interval(1, 2.0)
    with pytest.raises(ValueError, match="no number"):
        statistics.t_interval([])


@pytest.mark.parametrize("n", [5, 10])
def test_intervals_cover_at_their_rate(n):
    source = np.random.default_rng(n)
    found = [statistics.t_interval(source.normal(3, 2, n)) for _ in range(RUNS)]
    assert within(np.mean([one.low <= 3 <= one.high for one in found]), 0.95)


@pytest.mark.parametrize("n", [5, 10])
def test_a_true_null_is_rejected_at_its_rate(n):
    source = np.random.default_rng(n)
    assert within(np.mean([statistics.t_test(source.normal(0.7, 1, n), 0.7) < 0.05 for _ in range(RUNS)]), 0.05)


def test_equivalence_is_found_falsely_at_its_rate_at_the_edge_of_the_margin_and_truly_within():
    source = np.random.default_rng(0)
    at_edge = [statistics.tost(source.normal(1.0, 0.2, 10), 1.0) < 0.05 for _ in range(RUNS)]
    assert within(np.mean(at_edge), 0.05)
    assert np.mean([statistics.tost(source.normal(0, 0.2, 10), 1.0) < 0.05 for _ in range(200)]) > 0.99
    assert statistics.tost([0.1], 1.0) == 1


def test_a_mean_outside_the_margin_is_told_at_its_rate():
    source = np.random.default_rng(5)
    at_edge = [statistics.different(source.normal(1.0, 0.2, 10), 1.0) < 0.05 for _ in range(RUNS)]
    assert within(np.mean(at_edge), 0.025)  # of both sides, the one where the mean lies
    assert np.mean([statistics.different(source.normal(2, 0.2, 10), 1.0) < 0.05 for _ in range(200)]) > 0.99
    assert statistics.different([3.0], 1.0) == 1


def test_the_margin_that_would_be_shown_is_the_edge_of_the_test():
    values = [0.3, -0.1, 0.2, 0.4, 0.0]
    edge = statistics.equal_within(values)
    assert statistics.tost(values, edge * 1.001) < 0.05 < statistics.tost(values, edge * 0.999)


def test_holm_is_the_textbooks_and_keeps_the_error_of_a_family():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.01], family=24) == pytest.approx([0.24])
    source = np.random.default_rng(1)
    any_wrong = [min(statistics.holm(stats.norm.sf(source.normal(size=5)))) < 0.05 for _ in range(RUNS)]
    assert within(np.mean(any_wrong), 1 - 0.99**5)  # of independent tests the first step decides, at 0.01 each


def test_what_could_have_been_seen_is_seen_with_that_power():
    source = np.random.default_rng(2)
    values = source.normal(0, 1, 10)
    effect = statistics.detectable(values) / values.std(ddof=1)
    seen = [statistics.t_test(source.normal(effect, 1, 10)) < 0.05 for _ in range(RUNS)]
    assert within(np.mean(seen), 0.8)
    assert statistics.detectable([1.0]) is None


@pytest.mark.parametrize("tests", [1, 18, 1000])
def test_of_two_numbers_an_effect_is_seen_where_the_deviation_happens_to_be_small(tests):
    """t of two numbers is (Z + d) / |W|; far out, it exceeds an edge with probability P(|W| < d / edge)."""
    edge = stats.t.isf(0.025 / tests, 1)
    found = statistics.detectable([0.0, 2.0], alpha=0.05 / tests)  # standard error 1
    assert found == pytest.approx(edge * stats.norm.ppf(0.9), rel=0.01)
    for n in (3, 5, 10):
        assert statistics.detectable(np.arange(n), alpha=0.05 / tests) > 0


def test_so_many_seeds_would_decide():
    source = np.random.default_rng(3)
    values = np.array([0.5, -0.2, 0.9, 0.1, 0.6])
    n = statistics.seeds_needed(values)
    seen = [statistics.t_test(source.normal(values.mean(), values.std(ddof=1), n)) < 0.05 for _ in range(RUNS)]
    assert np.mean(seen) > 0.77
    assert statistics.seeds_needed([1.0, -1.0]) is None


def test_the_bootstrap_is_the_same_every_time_and_about_right():
    x = np.random.default_rng(4).normal(2, 1, 400)
    low, high = statistics.bootstrap(x)
    assert statistics.bootstrap(x) == (low, high)
    assert low < x.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
