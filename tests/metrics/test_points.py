"""Measures of points against hand-made cases, and the pool's rows that a flow learns from."""

import numpy as np
import pytest
from guidance_study.metrics.bend import bend
from guidance_study.metrics.effective_targets import effective_share
from guidance_study.metrics.neighbour_distance import nearest_real
from guidance_study.metrics.point_coverage import coverage
from guidance_study.metrics.ratios import worst_ratio
from guidance_study.metrics.wasserstein import projected, wasserstein
from guidance_study.store.rows import chosen
from scipy.stats import wasserstein_distance


def test_wasserstein_on_a_line_is_scipys():
    source = np.random.default_rng(0)
    a, b = source.standard_normal((300, 1)), 1.5 + 2 * source.standard_normal((500, 1))
    assert wasserstein(projected(a), projected(b)) == pytest.approx(wasserstein_distance(a[:, 0], b[:, 0]), rel=1e-9)


def test_a_shift_in_the_plane_has_the_mean_of_its_projections():
    a = np.random.default_rng(0).standard_normal((400, 2))
    shift = np.array([3.0, 0.0])
    assert wasserstein(projected(a), projected(a + shift)) == pytest.approx(
        3 * 2 / np.pi, rel=1e-3
    )  # mean of |cos| is 2 / pi


def test_a_straight_path_has_bend_1_and_a_detour_more():
    straight = np.linspace(0, 1, 11)[:, None, None] * np.array([[1.0, 2.0]])
    assert bend(straight) == pytest.approx(1)
    corner = np.array([[[0.0, 0.0]], [[1.0, 0.0]], [[1.0, 1.0]]])
    assert bend(corner) == pytest.approx(2 / 2**0.5)


def test_effective_share_counts_targets():
    labels = np.zeros(4, dtype=int)
    assert effective_share(np.array([[0], [1], [2], [3]]), labels) == pytest.approx(1)
    assert effective_share(np.array([[5], [5], [5], [5]]), labels) == pytest.approx(0.25)
    assert effective_share(np.array([[5], [5], [6], [6]]), labels) == pytest.approx(0.5)


def test_the_worst_are_chosen_by_the_distance_before():
    before, after = np.array([10.0, 1.0, 1.0, 1.0]), np.array([2.0, 8.0, 1.0, 1.0])
    assert worst_ratio(before, after, 0.25) == pytest.approx(5)
    assert worst_ratio(before, after, 1.0) == pytest.approx(13 / 12)


def test_nearest_real_stays_within_the_class():
    real, labels = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([0, 1])
    x = np.array([[0.1, 0.0], [0.1, 0.0]])
    assert nearest_real(x, np.array([0, 1]), real, labels) == pytest.approx([0.1, 0.9])


def test_coverage_is_1_for_equal_points_and_the_covered_share_else():
    source = np.random.default_rng(0)
    real = np.concatenate([source.standard_normal((50, 2)), 100 + source.standard_normal((50, 2))])
    assert coverage(real, real, 5) == 1
    half = np.concatenate([real[:50], real[:50]])
    assert coverage(half, real, 5) == pytest.approx(0.5)


def test_a_flow_learns_from_an_equal_share_of_its_scales():
    pool = {"scales": [1.0, 2.0, 3.0, 2.5], "n": 24}
    assert chosen(pool, [2.5], 6).tolist() == [18, 19, 20, 21, 22, 23]
    assert chosen(pool, [1.0, 2.0, 3.0], 6).tolist() == [0, 1, 6, 7, 12, 13]
    assert chosen({"scales": [1.0, 2.0], "n": 7}, [1.0, 2.0], 7).tolist() == list(range(7))
