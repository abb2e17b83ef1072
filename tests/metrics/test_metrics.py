"""Metrics against closed forms, explicit brute force and clean-fid's own functions."""

import tracemalloc

import numpy as np
import pytest
from guidance_study.metrics import manifold
from guidance_study.metrics.frechet import Gaussian, frechet_distance
from guidance_study.metrics.images import rgb, to_uint8
from guidance_study.metrics.kernel import kernel_distance
from guidance_study.metrics.labels import accuracy
from guidance_study.metrics.manifold import copy_threshold, near_copies, prdc
from guidance_study.support.errors import StudyError

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
    assert near_copies(fake, bank, 0.0) == 0  # closer than: the threshold itself does not count
    with pytest.raises(ValueError, match="no fake rows"):
        near_copies(fake[:0], bank, 1.0)


def test_copy_threshold_is_a_quantile_of_leave_one_out_distances():
    bank = np.cumsum(np.arange(1.0, 12.0))[:, None]  # gaps 2, 3, ..., 11: nearest others at 2, 2, 3, ..., 11
    nearest = [2.0, *range(2, 12)]
    for quantile in (0.0, 0.25, 1.0):
        assert copy_threshold(bank, quantile) == pytest.approx(np.quantile(nearest, quantile))
    assert copy_threshold(np.zeros((9, 2))) == 0
    with pytest.raises(ValueError, match=r"quantile = 1\.5"):
        copy_threshold(bank, 1.5)


def test_accuracy():
    predicted, labels = np.array([0, 1, 1, 2, 2]), np.array([0, 1, 2, 2, 2])
    assert accuracy(predicted, labels) == pytest.approx(0.8)
    with pytest.raises(ValueError, match=r"shape \(5,\) and labels of shape \(4,\)"):
        accuracy(predicted, labels[:4])
    with pytest.raises(ValueError, match="at least 1"):
        accuracy(predicted[:0], labels[:0])


def test_to_uint8_undoes_the_scaling_of_every_shade():
    shades = np.arange(256, dtype=np.uint8)
    for scaled in (shades.astype(np.float32) / 127.5 - 1, shades / 255.0 * 2 - 1, shades / np.float32(127.5) - 1):
        np.testing.assert_array_equal(to_uint8(scaled), shades)
    assert to_uint8(np.array([-7.0, -1.0, -0.999, 0.9, 1.0, 1.3])).tolist() == [0, 0, 0, 242, 255, 255]
    with pytest.raises(ValueError, match="not finite"):
        to_uint8(np.array([0.0, np.nan]))


def test_rgb():
    grey = np.arange(8.0).reshape(2, 1, 2, 2)
    assert rgb(grey).shape == (2, 3, 2, 2)
    assert (rgb(grey) == grey).all()
    colour = np.zeros((2, 3, 4, 4))
    assert rgb(colour) is colour
    with pytest.raises(StudyError, match=r"samples of shape \(2, 4, 4\) are no images"):
        rgb(np.zeros((5, 2, 4, 4)))
