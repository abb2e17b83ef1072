"""Precision to coverage and near copies, against explicit brute force."""

import tracemalloc

import numpy as np
import pytest
from guidance_study.metrics import manifold
from guidance_study.metrics.manifold import prdc
from guidance_study.metrics.near_copies import copy_threshold, near_copies

pytestmark = pytest.mark.numeric


def prdc_by_definition(real, fake, k):
    def pairs(a, b):
        return np.sqrt(((a.astype(np.float64)[:, None] - b.astype(np.float64)) ** 2).sum(axis=2))

    real_radius = np.sort(pairs(real, real), axis=1)[:, k]
    fake_radius = np.sort(pairs(fake, fake), axis=1)[:, k]
    apart = pairs(real, fake)
    return {
        "precision": np.mean([(apart[:, j] <= real_radius).any() for j in range(len(fake))]),
        "recall": np.mean([(apart[i] <= fake_radius).any() for i in range(len(real))]),
        "density": np.mean([(apart[:, j] <= real_radius).sum() / k for j in range(len(fake))]),
        "coverage": np.mean([(apart[i] <= real_radius[i]).any() for i in range(len(real))]),
    }


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_prdc_equals_its_definition(monkeypatch, offset):
    rng = np.random.default_rng(6)
    real = (rng.standard_normal((150, 4)) + offset).astype(np.float32)
    fake = (rng.standard_normal((110, 4)) * 1.3 + 0.7 + offset).astype(np.float32)
    whole = prdc(real, fake, k=3)
    assert whole == pytest.approx(prdc_by_definition(real, fake, 3), abs=1e-12)
    assert 0 < whole["recall"] < 1
    monkeypatch.setattr(manifold, "_TILE", 37)
    assert prdc(real, fake, k=3) == whole


def test_prdc_on_the_surface_of_the_balls():
    """Integer rows with duplicates and shared rows: radii of 0, and distances equal to radii."""
    rng = np.random.default_rng(7)
    real, fake = rng.integers(0, 4, (120, 3)), rng.integers(1, 6, (90, 3))
    real[:9], fake[:5] = real[0], real[0]
    for k in (1, 5):
        assert prdc(real, fake, k) == pytest.approx(prdc_by_definition(real, fake, k), abs=1e-12)


def test_prdc_of_equal_distributions():
    """Expected coverage: 1 - (N-1)...(N-k) / ((2N-1)...(2N-k)), density 1 (Naeem et al. 2020, Sec. 3.3)."""
    rng = np.random.default_rng(8)
    real, fake = rng.standard_normal((2, 1500, 16)).astype(np.float32)
    found = prdc(real, fake, k=5)
    i = np.arange(1, 6)
    assert found["coverage"] == pytest.approx(1 - np.prod((1500 - i) / (3000 - i)), abs=0.02)
    assert found["density"] == pytest.approx(1, abs=0.1)


def test_prdc_of_a_set_and_itself_or_a_far_one():
    real = np.random.default_rng(9).standard_normal((60, 5)).astype(np.float32)
    same = prdc(real, real.copy(), k=4)
    assert (same["precision"], same["recall"], same["coverage"]) == (1, 1, 1)
    far = prdc(real, real + 100, k=4)
    assert far == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_prdc_errors():
    real, fake = np.zeros((6, 2)), np.zeros((5, 2))
    with pytest.raises(ValueError, match="k = 5, but there are 5 fake rows"):
        prdc(real, fake, k=5)
    with pytest.raises(ValueError, match="k = 0"):
        prdc(real, fake, k=0)
    with pytest.raises(ValueError, match="same dimension"):
        prdc(real, np.zeros((6, 3)), k=2)


def test_prdc_never_holds_all_pairs(monkeypatch):
    """With tiles of 256 rows: 6000 x 6000 distances would take 275 MiB."""
    monkeypatch.setattr(manifold, "_TILE", 256)
    monkeypatch.setattr("guidance_study.neighbours.search.BLOCK", 2**18)
    rng = np.random.default_rng(14)
    real, fake = rng.standard_normal((2, 6000, 16)).astype(np.float32)
    tracemalloc.start()
    found = prdc(real, fake, k=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * 2**20
    assert found["density"] == pytest.approx(1, abs=0.1)
    assert found["coverage"] == pytest.approx(1 - 2**-5, abs=0.02)


def test_near_copies_finds_the_planted_ones():
    rng = np.random.default_rng(10)
    bank = rng.standard_normal((400, 32)).astype(np.float32)
    fake = rng.standard_normal((100, 32)).astype(np.float32)
    fake[:20] = bank[50:70]
    fake[20:30] = bank[:10] + 1e-3 * rng.standard_normal((10, 32)).astype(np.float32)
    assert near_copies(fake, bank, copy_threshold(bank)) == pytest.approx(0.30, abs=0.03)
    assert near_copies(fake, bank, 0.1) == 0.30
    assert near_copies(fake, bank, 0.0) == 0.20  # exact copies alone
    with pytest.raises(ValueError, match="no fake rows"):
        near_copies(fake[:0], bank, 1.0)


def test_copy_threshold_is_a_quantile_of_leave_one_out_distances():
    bank = np.cumsum(np.arange(1.0, 12.0))[:, None]  # gaps 2, 3, ..., 11: nearest others at 2, 2, 3, ..., 11
    nearest = [2.0, *range(2, 12)]
    for quantile in (0.0, 0.25, 1.0):
        assert copy_threshold(bank, quantile) == pytest.approx(np.quantile(nearest, quantile))
    assert copy_threshold(np.zeros((9, 2))) == 0
    doubled = np.concatenate([bank, bank[:3]])  # a quarter of the bank is there twice, and changes nothing
    assert copy_threshold(doubled, 0.25) == copy_threshold(bank, 0.25)
    assert near_copies(doubled, doubled, copy_threshold(doubled)) == 1  # retrieval
    with pytest.raises(ValueError, match=r"quantile = 1\.5"):
        copy_threshold(bank, 1.5)
