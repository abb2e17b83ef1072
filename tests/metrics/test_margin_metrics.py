"""What margins say of sets whose answer is known."""

import numpy as np
import pytest
from guidance_study.datasets.mixtures import Mixture
from guidance_study.metrics.movement import Movement
from guidance_study.metrics.off_support import OffSupport
from guidance_study.metrics.oracle import Oracle
from guidance_study.metrics.ranks import within_class
from guidance_study.metrics.sets.points import Points, RealPoints
from guidance_study.metrics.truncation import Truncation, truncated
from guidance_study.metrics.variance import Variance, within


@pytest.fixture(scope="module")
def real():
    """Two Gaussians of variance 0.25 at -1 and 1 on a line, and points of them; class 0 on the right."""
    mixture = Mixture([0.5, 0.5], [[1.0], [-1.0]], [[0.25], [0.25]], [[[1.0]], [[1.0]]], [0, 1])
    labels = np.arange(4000) % 2
    x = 1 - 2 * labels + 0.5 * np.random.default_rng(0).standard_normal(4000)
    return RealPoints(Oracle(mixture), x[:, None], labels)


def test_rank_correlation_is_within_classes():
    labels = np.repeat([0, 1], 50)
    x = np.arange(100.0)
    assert within_class(x, -x + 1000 * labels, labels) == pytest.approx(-1)  # across classes it would be positive
    assert np.isnan(within_class(np.zeros(100), x, labels))


def test_distance_off_the_data_is_mahalanobis(real):
    one = Points(np.array([[1.0], [2.0], [-3.0]]), np.array([0, 0, 1]), real)
    assert real.off(one) == pytest.approx([0, 2, 4])


def test_a_world_where_bad_samples_sit_at_the_boundary_and_one_where_they_do_not(real):
    """The farther off the data the nearer to the boundary, or the farther from it."""
    labels = np.arange(400) % 2
    side, off = 1 - 2 * labels, np.linspace(0, 0.9, 400)
    planted = {-1: (side * (1 - off))[:, None], 1: (side * (1 + off))[:, None]}
    for sign, x in planted.items():
        rows = {row.metric: row.value for row in OffSupport(kind="off_support").measure(Points(x, labels, real), real)}
        assert rows["margin_rho"] == pytest.approx(sign, abs=1e-6)
    fresh = {
        row.metric: row.value for row in OffSupport(kind="off_support").measure(Points(real.x, real.labels, real), real)
    }
    assert abs(fresh["margin_rho"]) < 0.1  # of the data themselves: none


@pytest.mark.parametrize("away", [True, False])
def test_a_flow_that_moves_small_margins_away_from_the_boundary_and_one_that_does_not(real, away):
    labels = np.arange(400) % 2
    side = 1 - 2 * labels
    margins = np.linspace(0.05, 2, 400)
    before = Points((side * margins)[:, None], labels, real)
    gain = 0.5 * (2 - margins) if away else 0.5 * margins
    after = Points((side * (margins + (gain if away else -gain)))[:, None], labels, real, before)
    rows = {row.metric: row.value for row in Movement(kind="movement").measure(after, real)}
    assert rows["displacement"] == pytest.approx(gain.mean())
    assert rows["displacement_rho"] == pytest.approx(-1 if away else 1)
    assert rows["margin_gain"] == pytest.approx((1 if away else -1) * gain.mean(), abs=1e-6)
    assert (rows["margin_gain_low"] > rows["margin_gain"]) == away or not away


def test_truncated_data_are_told_from_shifted_ones(real):
    """Generations that are real data cut at a margin lie at no distance from them; shifted ones do not."""
    of = real.of_class(0)
    margins = real.boundary.distance(of, np.zeros(len(of), dtype=int))
    cut, shifted = of[margins > 1], of + 0.3
    metric = Truncation(kind="truncation")
    assert metric.of_class(cut, real, 0) < 0.1
    assert metric.of_class(shifted, real, 0) > 0.3
    assert truncated(np.array([1.0, 2.0, 3.0]), 2.5).tolist() == [2, 1]
    assert truncated(np.array([1.0, 2.0, 3.0]), 4.0).tolist() == [2]  # no cut comes nearer
    assert len(truncated(np.array([1.0, 2.0, 3.0]), 0.0)) == 3


def test_variance_within_classes_is_a_share_of_the_datas(real):
    """Of a known spread, whatever the classes' means are."""
    half = 0.5 * (real.x - (1 - 2 * real.labels)[:, None]) + 7 * real.labels[:, None]
    (row,) = Variance(kind="variance").measure(Points(half, real.labels, real), real)
    assert row.value == pytest.approx(0.25)
    assert within(np.array([[0.0, 0.0], [2.0, 4.0], [5.0, 5.0]]), np.array([0, 0, 1])) == pytest.approx(2 + 8)
