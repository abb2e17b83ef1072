"""Vendi score, extrapolated Frechet distance and authenticity, where the answer is known."""

import numpy as np
import pytest
from guidance_study.metrics.authenticity import authenticity
from guidance_study.metrics.frechet import Gaussian, frechet_distance
from guidance_study.metrics.frechet_infinity import extrapolated
from guidance_study.metrics.vendi import vendi

pytestmark = pytest.mark.numeric


@pytest.fixture
def source():
    return np.random.Generator(np.random.Philox(key=5))


def test_the_vendi_score_counts_directions(source):
    axes = np.eye(7)
    assert vendi(axes) == pytest.approx(7)
    assert vendi(axes[[0, 0, 0]]) == pytest.approx(1)
    assert vendi(np.repeat(axes[:3], 50, axis=0)) == pytest.approx(3)
    assert vendi(source.uniform(0.5, 9, (7, 1)) * axes) == pytest.approx(7)  # lengths do not count
    rotation = np.linalg.qr(source.normal(size=(7, 7)))[0]
    assert vendi(axes @ rotation) == pytest.approx(7)
    shares = np.array([0.7, 0.2, 0.1])
    rows = np.repeat(axes[:3], (100 * shares).round().astype(int), axis=0)
    assert vendi(rows) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    assert vendi(np.vstack([rows, np.zeros((5, 7))])) == pytest.approx(vendi(rows))
    tall, wide = source.normal(size=(40, 5)), source.normal(size=(5, 40))
    for x in (tall, wide):  # by either product, and by the definition
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        values = np.linalg.eigvalsh(unit @ unit.T / len(x))
        values = values[values > 1e-12]
        assert vendi(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()))
    with pytest.raises(ValueError, match="no directions"):
        vendi(np.zeros((3, 2)))


def test_the_extrapolated_distance_has_less_bias(source):
    """Of N(0, I) against itself the truth is 0; a set's own distance is above it by about D^2 / (2 n) and more."""
    real = Gaussian(np.zeros(32), np.eye(32))
    sets = [source.normal(size=(400, 32)) for _ in range(6)]
    plain = np.array([frechet_distance(Gaussian.of(x), real) for x in sets])
    found = np.array([extrapolated(x, real, seed) for seed, x in enumerate(sets)])
    assert (plain > 0.5).all()
    assert abs(found.mean()) < 0.2 * plain.mean()
    shifted = [extrapolated(x + 1, real, 0) for x in sets]
    assert np.mean(shifted) == pytest.approx(32, rel=0.1)
    assert extrapolated(sets[0], real, 3) == extrapolated(sets[0], real, 3)
    with pytest.raises(ValueError, match="31 rows: at least 32"):
        extrapolated(sets[0][:31], real, 0)


def test_copies_are_not_authentic_and_what_is_far_is(source):
    real = source.normal(size=(500, 4))
    assert authenticity(real, real) == 0
    assert authenticity(real + 1e-9, real) == 0
    assert authenticity(real + 100, real) == 1
    line = np.array([[0.0], [1.0], [10.0], [12.0]])  # nearest at 1, 1, 2, 2
    fakes = np.array([[-0.5], [-1.5], [8.5], [7.5], [15.0]])  # 0.5, 1.5, 1.5, 2.5, 3 from the nearest
    assert authenticity(fakes, line) == pytest.approx(3 / 5)
    assert 0.3 < authenticity(source.normal(size=(500, 4)), real) < 0.7
    with pytest.raises(ValueError, match="no fake rows"):
        authenticity(real[:0], real)
