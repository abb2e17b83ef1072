"""Gaussians of features and the Fréchet distance, against closed forms and clean-fid."""

import tracemalloc

import numpy as np
import pytest
from guidance_study.metrics.frechet import Gaussian, frechet_distance

pytestmark = pytest.mark.numeric


def rotation(rng, dim):
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def covariance(rng, dim, rank=None):
    factor = rng.standard_normal((dim, rank or 2 * dim))
    return factor @ factor.T / factor.shape[1]


def test_gaussian_of_features(monkeypatch):
    features = (np.random.default_rng(0).standard_normal((500, 7)) + 1e3).astype(np.float32)
    monkeypatch.setattr("guidance_study.metrics.frechet._BLOCK", 100)  # several blocks
    found = Gaussian.of(features)
    np.testing.assert_allclose(found.mean, features.astype(np.float64).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, np.cov(features.astype(np.float64), rowvar=False), atol=1e-11)


def test_gaussian_of_a_memory_map(tmp_path, monkeypatch):
    features = np.random.default_rng(0).standard_normal((300, 9)).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    monkeypatch.setattr("guidance_study.metrics.frechet._BLOCK", 100)
    found = Gaussian.of(np.load(tmp_path / "features.npy", mmap_mode="r"))
    whole = Gaussian.of(features)
    assert found.mean.tobytes() == whole.mean.tobytes()
    assert found.covariance.tobytes() == whole.covariance.tobytes()
    np.testing.assert_allclose(found.covariance, np.cov(features.astype(np.float64), rowvar=False), atol=1e-12)


def test_gaussian_of_many_features_takes_little_memory(tmp_path):
    shape = (2**18, 64)  # 64 MiB in float32, 128 in float64
    features = np.lib.format.open_memmap(tmp_path / "features.npy", "w+", np.float32, shape)
    features[::2] = 1
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    tracemalloc.start()
    found = Gaussian.of(mapped)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(found.covariance, np.full((64, 64), 0.25), rtol=1e-5)
    assert peak < 80 * 2**20


def test_gaussian_errors():
    with pytest.raises(ValueError, match=r"Features of shape \(1, 3\)"):
        Gaussian.of(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"Features of shape \(9,\)"):
        Gaussian.of(np.zeros(9))
    with pytest.raises(ValueError, match="not finite"):
        Gaussian.of(np.array([[0.0, np.nan], [1.0, 2.0]]))
    with pytest.raises(ValueError, match=r"shape \(2,\) and a covariance of shape \(3, 3\)"):
        Gaussian(np.zeros(2), np.eye(3))
    with pytest.raises(ValueError, match="A Gaussian of 2 dimensions has no distance to one of 3"):
        frechet_distance(Gaussian(np.zeros(2), np.eye(2)), Gaussian(np.zeros(3), np.eye(3)))


def test_frechet_of_one_dimension():
    a, b = Gaussian(np.array([1.0]), np.array([[4.0]])), Gaussian(np.array([-2.0]), np.array([[9.0]]))
    assert frechet_distance(a, b) == pytest.approx(3**2 + (2 - 3) ** 2)


def test_frechet_of_equal_covariances_is_the_gap_of_the_means():
    rng = np.random.default_rng(1)
    shared, mean = covariance(rng, 20), rng.standard_normal((2, 20))
    expected = ((mean[0] - mean[1]) ** 2).sum()
    assert frechet_distance(Gaussian(mean[0], shared), Gaussian(mean[1], shared)) == pytest.approx(expected)
    assert frechet_distance(Gaussian(mean[0], shared), Gaussian(mean[0], shared)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rotated", [False, True])
def test_frechet_of_commuting_covariances(rotated):
    """S_a = U A U^T, S_b = U B U^T: tr(S_a + S_b - 2 (S_a S_b)^1/2) = sum (sqrt a - sqrt b)^2. Some are 0."""
    rng = np.random.default_rng(2)
    basis = rotation(rng, 30) if rotated else np.eye(30)
    values = rng.uniform(0, 5, (2, 30))
    values[0, :10], values[1, 5:15] = 0, 0
    a, b = (Gaussian(np.zeros(30), basis @ np.diag(v) @ basis.T) for v in values)
    expected = ((np.sqrt(values[0]) - np.sqrt(values[1])) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-7)


def test_frechet_of_rank_deficient_covariances():
    """Fewer samples than dimensions, as for small sets: embed full-rank Gaussians of 6 dimensions in 40."""
    rng = np.random.default_rng(3)
    small = [covariance(rng, 6) for _ in range(2)]
    into = rotation(rng, 40)[:, :6]
    plain = [Gaussian(np.zeros(6), s) for s in small]
    embedded = [Gaussian(np.zeros(40), into @ s @ into.T) for s in small]
    assert frechet_distance(*embedded) == pytest.approx(frechet_distance(*plain), rel=1e-9)
    point = Gaussian(np.ones(40), np.zeros((40, 40)))
    assert frechet_distance(point, embedded[0]) == pytest.approx(40 + np.trace(small[0]))
    assert frechet_distance(point, point) == 0


def test_frechet_by_either_factor(monkeypatch):
    """By Cholesky's and, as for a matrix that is not positive definite, by eigenvalues."""
    rng = np.random.default_rng(8)
    a, b = (Gaussian(rng.standard_normal(40), covariance(rng, 40)) for _ in range(2))
    found = frechet_distance(a, b)

    def fails(_):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(np.linalg, "cholesky", fails)
    assert frechet_distance(a, b) == pytest.approx(found, rel=1e-9)


def test_frechet_is_symmetric_and_ignores_rotation():
    rng = np.random.default_rng(4)
    a = Gaussian(rng.standard_normal(25), covariance(rng, 25))
    b = Gaussian(rng.standard_normal(25), covariance(rng, 25, rank=9))
    turn = rotation(rng, 25)
    turned = [Gaussian(turn @ g.mean, turn @ g.covariance @ turn.T) for g in (a, b)]
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-7)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(*turned), rel=1e-7)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # an argument that clean-fid passes
@pytest.mark.parametrize("samples", [2000, 60])  # 60: fewer than dimensions
def test_frechet_agrees_with_clean_fid(samples):
    fid = pytest.importorskip("cleanfid.fid")  # its import fetches no weights
    rng = np.random.default_rng(5)
    spread = np.exp(-np.arange(96) / 20)
    sets = [rng.standard_normal((samples, 96)) * spread @ rotation(rng, 96) + rng.normal(0, 0.1, 96) for _ in range(2)]
    a, b = (Gaussian.of(s.astype(np.float32)) for s in sets)
    theirs = fid.frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    assert frechet_distance(a, b) == pytest.approx(float(theirs), rel=1e-3)
