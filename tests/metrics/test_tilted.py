"""The tilted distribution p(x|c) p(c|x)^(s - 1), and how far points are from it."""

from types import SimpleNamespace

import numpy as np
import pytest
from guidance_study.datasets.mixtures import Mixture
from guidance_study.metrics.oracle import Oracle
from guidance_study.metrics.sets.points import RealPoints
from guidance_study.metrics.tilted import Tilted
from guidance_study.metrics.wasserstein import Wasserstein, projected, wasserstein

SIDE = 1 - 2 * (np.arange(8000) % 2)  # of class 0 and 1


@pytest.fixture(scope="module")
def real():
    """Two Gaussians of variance 0.25 at -0.3 and 0.3 on a line, and points of them; class 0 on the right."""
    mixture = Mixture([0.5, 0.5], [[0.3], [-0.3]], [[0.25], [0.25]], [[[1.0]], [[1.0]]], [0, 1])
    x = 0.3 * SIDE + 0.5 * np.random.default_rng(0).standard_normal(8000)
    return RealPoints(Oracle(mixture), x[:, None], np.arange(8000) % 2)


def measured(real, x, scale, unguided=None) -> dict[str, float]:
    one = SimpleNamespace(x=x, labels=np.arange(len(x)) % 2, scale=scale, unguided=unguided)
    return {row.metric: row.value for row in Tilted(kind="tilted").measure(one, real)}


def class_points(seed: int) -> np.ndarray:
    return (0.3 * SIDE + 0.5 * np.random.default_rng(seed).standard_normal(8000))[:, None]


def test_at_scale_1_the_target_is_the_class_itself(real):
    x = class_points(1)
    found = measured(real, x, 1.0, x)
    plain = [Wasserstein(kind="wasserstein").of_class(x[np.arange(8000) % 2 == label], real, label) for label in (0, 1)]
    assert found["tilted"] == found["tilted_resampled"] == found["tilted_unguided"] == pytest.approx(np.mean(plain))


def test_what_rejection_keeps_is_the_target_and_what_it_started_from_is_not(real):
    """p(c | x) = 1 / (1 + exp(-2 m x / v)) of means +-m, so that points are kept with that to the power of s - 1."""
    x, scale = class_points(2), 3.0
    kept = np.random.default_rng(3).random(8000) < (1 / (1 + np.exp(-2 * 0.3 * SIDE * x[:, 0] / 0.25))) ** (scale - 1)
    rows = [np.flatnonzero(kept & (side == SIDE)) for side in (1, -1)]
    pairs = np.stack([part[: min(map(len, rows))] for part in rows], 1).ravel()  # classes in turn
    found, start = measured(real, x[pairs], scale), measured(real, x, scale, x)
    assert found["tilted"] < 0.04  # of about 2000 points a class
    assert start["tilted_resampled"] < 0.04
    assert start["tilted"] == start["tilted_unguided"] > 0.15
    assert "tilted_resampled" not in found


def test_weights_count_points():
    x, other = np.array([[0.0], [1.0]]), np.array([[0.0], [0.0], [0.0], [1.0]])
    assert wasserstein(projected(x), projected(other), np.array([3.0, 1.0])) == pytest.approx(0)
    assert wasserstein(projected(x), projected(other)) == pytest.approx(0.25)
