"""The kernel distance, against its definition and clean-fid's."""

import numpy as np
import pytest
from guidance_study.metrics.kid import kernel_distance

pytestmark = pytest.mark.numeric


def kernel_distance_by_definition(x, y):
    """Both sums of the unbiased estimate, term by term."""

    def k(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    m, n = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    within_y = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_kernel_distance_equals_its_definition_and_clean_fids():
    fid = pytest.importorskip("cleanfid.fid")
    rng = np.random.default_rng(11)
    a, b = rng.standard_normal((30, 6)), rng.standard_normal((30, 6)) * 1.5 + 0.3
    found = kernel_distance(a, b, seed=0, subsets=1)  # one subset of all rows: nothing is left to chance
    assert found == pytest.approx(kernel_distance_by_definition(a, b), rel=1e-10)
    assert found == pytest.approx(fid.kernel_distance(a, b, num_subsets=1), rel=1e-10)


def test_kernel_distance_is_unbiased():
    """Its mean over many pairs of samples: 0 for equal distributions, within 2 standard errors; else positive."""
    rng = np.random.default_rng(12)
    a, b = rng.standard_normal((2, 400, 20, 8))
    equal = [kernel_distance(x, y, seed=0, subsets=1) for x, y in zip(a, b, strict=True)]
    error = np.std(equal) / np.sqrt(len(equal))
    assert abs(np.mean(equal)) < 2 * error
    assert min(equal) < 0  # as an unbiased estimate of 0 must be at times
    shifted = [kernel_distance(x, y + 0.3, seed=0, subsets=1) for x, y in zip(a, b, strict=True)]
    assert np.mean(shifted) > 10 * error


def test_kernel_distance_of_subsets(tmp_path):
    """Over random subsets the estimate's mean is the estimate from all rows, of sets of different sizes too."""
    rng = np.random.default_rng(13)
    a, b = rng.standard_normal((50, 5)).astype(np.float32), (rng.standard_normal((70, 5)) + 0.5).astype(np.float32)
    found = kernel_distance(a, b, seed=3, subsets=400, size=20)
    single = [kernel_distance(a, b, seed=seed, subsets=1, size=20) for seed in range(400)]
    expected = kernel_distance_by_definition(a.astype(np.float64), b.astype(np.float64))
    assert abs(found - expected) < 3 * np.std(single) / np.sqrt(400)
    np.save(tmp_path / "a.npy", a)
    assert kernel_distance(np.load(tmp_path / "a.npy", mmap_mode="r"), b, seed=3, subsets=400, size=20) == found
    assert len(set(single)) == 400  # every seed draws its own


def test_kernel_distance_errors():
    a = np.zeros((5, 3))
    with pytest.raises(ValueError, match=r"features of shape \(5, 3\) and \(5, 2\)"):
        kernel_distance(a, a[:, :2], seed=0)
    with pytest.raises(ValueError, match="100 subsets of 1 rows"):
        kernel_distance(a, a[:1], seed=0)
    with pytest.raises(ValueError, match="not finite"):
        kernel_distance(a, np.full((5, 3), np.nan), seed=0)
