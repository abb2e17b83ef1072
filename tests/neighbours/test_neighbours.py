"""Neighbours against a float64 brute force: far from the origin, duplicated, in blocks, from files."""

import numpy as np
import pytest
from guidance_study.neighbours import search as neighbours
from guidance_study.neighbours.search import class_neighbours, search

pytestmark = pytest.mark.numeric


def brute_force(queries, bank, k):
    """Index and distance (N, k), by differences in float64, ties to the smaller index."""
    differences = queries.astype(np.float64)[:, None] - bank.astype(np.float64)
    distance = np.sqrt((differences**2).sum(axis=2))
    index = np.argsort(distance, axis=1, kind="stable")[:, :k]
    return index, np.take_along_axis(distance, index, axis=1)


def class_brute_force(queries, query_labels, bank, bank_labels, k):
    index, distance = np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k))
    for label in np.unique(query_labels):
        asked, rows = query_labels == label, np.flatnonzero(bank_labels == label)
        found, distance[asked] = brute_force(queries[asked], bank[rows], k)
        index[asked] = rows[found]
    return index, distance


def check(found, index, distance):
    assert found.index.dtype == np.int64
    assert found.distance.dtype == np.float64
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_allclose(found.distance, distance, rtol=1e-12, atol=0)


def labelled(rng, count, dim, classes=3, offset=0.0):
    features = (rng.standard_normal((count, dim)) + offset).astype(np.float32)
    return features, rng.integers(0, classes, count)


@pytest.fixture(params=[0, 3], ids=["faiss", "tree in few dimensions"])
def _finder(request, monkeypatch):
    """Points of few dimensions, by both finders of candidates."""
    monkeypatch.setattr(neighbours, "TREE_DIMENSION", request.param)


@pytest.mark.usefixtures("_finder")
@pytest.mark.parametrize(("dim", "k"), [(1, 1), (2, 20), (33, 5), (300, 20)])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_equals_brute_force(dim, k, offset):
    rng = np.random.default_rng(dim)
    queries, query_labels = labelled(rng, 80, dim, offset=offset)
    bank, bank_labels = labelled(rng, 400, dim, offset=offset)
    asked = (queries, query_labels, bank, bank_labels, k)
    check(class_neighbours(*asked), *class_brute_force(*asked))
    check(search(queries, bank, k), *brute_force(queries, bank, k))


def test_classes_far_apart_are_centred_each():
    rng = np.random.default_rng(0)
    queries, query_labels = labelled(rng, 60, 4)
    bank, bank_labels = labelled(rng, 300, 4)
    queries += 1e4 * query_labels[:, None].astype(np.float32)
    bank += 1e4 * bank_labels[:, None].astype(np.float32)
    asked = (queries, query_labels, bank, bank_labels, 10)
    check(class_neighbours(*asked), *class_brute_force(*asked))


def test_centring_spares_the_float64_search(monkeypatch):
    """Around 1e4 the float32 product keeps no digit of these distances; around their mean, all they need."""
    rng = np.random.default_rng(0)
    bank, bank_labels = labelled(rng, 400, 50, offset=1e4)
    monkeypatch.setattr(neighbours, "_search_float64", lambda *_: pytest.fail("the candidates do not suffice"))
    class_neighbours(bank[:80], bank_labels[:80], bank, bank_labels, 10)


def test_labels_are_any_integers():
    rng = np.random.default_rng(0)
    queries, query_labels = labelled(rng, 30, 5)
    bank, bank_labels = labelled(rng, 90, 5, classes=4)  # class 3 is in the bank alone
    names = np.array([-7, 2**40, 5, 6])
    plain = class_neighbours(queries, query_labels, bank, bank_labels, 3)
    named = class_neighbours(queries, names[query_labels], bank, names[bank_labels], 3)
    check(named, plain.index, plain.distance)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_duplicates_beyond_the_margin_go_by_index(offset):
    """Each row occurs 60 times: far more ties than there are candidates."""
    rng = np.random.default_rng(1)
    distinct = (rng.standard_normal((10, 8)) + offset).astype(np.float32)
    bank = distinct[rng.permutation(np.repeat(np.arange(10), 60))]
    queries = np.concatenate([distinct, (rng.standard_normal((20, 8)) + offset).astype(np.float32)])
    check(search(queries, bank, 7), *brute_force(queries, bank, 7))
    check(search(queries, bank, 70), *brute_force(queries, bank, 70))


@pytest.mark.usefixtures("_finder")
def test_a_bank_of_one_point():
    bank = np.full((500, 3), 2.5, dtype=np.float32)
    found = search(bank[:4] + 1, bank, 6)
    np.testing.assert_array_equal(found.index, np.tile(np.arange(6), (4, 1)))
    assert (search(np.zeros((1, 2)), np.zeros((300, 2)), 2).distance == 0).all()


def test_ties_on_a_grid_go_by_index():
    """Integer pixels: thousands of exact ties between different rows."""
    rng = np.random.default_rng(2)
    bank = rng.integers(0, 3, (2000, 5)).astype(np.uint8)
    queries = rng.integers(0, 3, (100, 5)).astype(np.uint8)
    check(search(queries, bank, 25), *brute_force(queries, bank, 25))


def test_k_is_the_class_size():
    rng = np.random.default_rng(3)
    queries, query_labels = labelled(rng, 20, 6)
    bank, bank_labels = rng.standard_normal((36, 6)).astype(np.float32), np.repeat([0, 1, 2], 12)
    found = class_neighbours(queries, query_labels, bank, bank_labels, 12)
    check(found, *class_brute_force(queries, query_labels, bank, bank_labels, 12))
    assert (np.sort(found.index, axis=1) == 12 * query_labels[:, None] + np.arange(12)).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_no_scale_over_or_underflows(scale):
    rng = np.random.default_rng(4)
    queries, bank = rng.standard_normal((30, 5)) * scale, rng.standard_normal((300, 5)) * scale
    queries, bank = queries.astype(np.float32), bank.astype(np.float32)
    check(search(queries, bank, 4), *brute_force(queries, bank, 4))


@pytest.mark.usefixtures("_finder")
def test_outliers_on_either_side():
    """Diverged samples, and a wild row in the bank, disturb no other query."""
    rng = np.random.default_rng(5)
    queries = rng.standard_normal((40, 3)).astype(np.float32)
    bank = rng.standard_normal((400, 3)).astype(np.float32)
    queries[:4] *= np.array([1e3, 1e9, 1e20, 1e37], dtype=np.float32)[:, None]
    bank[17] *= 1e6
    check(search(queries, bank, 9), *brute_force(queries, bank, 9))


@pytest.mark.parametrize("block", [1, 100, 1500])
def test_blocks_change_nothing(monkeypatch, tmp_path, block):
    rng = np.random.default_rng(6)
    queries, query_labels = labelled(rng, 70, 7)
    bank, bank_labels = labelled(rng, 500, 7)
    bank[100:400] = bank[100]  # a float64 search in blocks, too
    bank_labels[100:400] = 0
    whole = class_neighbours(queries, query_labels, bank, bank_labels, 11)
    np.save(tmp_path / "bank.npy", bank)
    monkeypatch.setattr(neighbours, "BLOCK", block)
    mapped = np.load(tmp_path / "bank.npy", mmap_mode="r")
    check(class_neighbours(queries, query_labels, mapped, bank_labels, 11), whole.index, whole.distance)


def test_the_finder_of_candidates_does_not_matter(monkeypatch):
    """As a GPU would: float32 squares with other roundings, ties in another order."""
    rng = np.random.default_rng(7)
    bank = rng.standard_normal((600, 40)).astype(np.float32)
    bank[300:330] = bank[3]
    queries = np.concatenate([bank[:20], rng.standard_normal((60, 40)).astype(np.float32)])
    by_faiss = search(queries, bank, 10)

    def other_knn(queries, bank, k):
        squares = (queries**2).sum(axis=1)[:, None] + (bank**2).sum(axis=1) - 2 * queries[:, ::-1] @ bank[:, ::-1].T
        squares = np.maximum(squares + rng.uniform(-1, 1, squares.shape).astype(np.float32) * 1e-6 * squares.max(), 0)
        index = np.argsort(squares[:, ::-1], axis=1)[:, :k]
        return np.take_along_axis(squares[:, ::-1], index, axis=1), len(bank) - 1 - index

    monkeypatch.setattr(neighbours, "_knn", other_knn)
    check(search(queries, bank, 10), by_faiss.index, by_faiss.distance)


def test_equal_rows_are_at_distance_zero():
    bank = (np.random.default_rng(8).standard_normal((50, 700)) + 1e4).astype(np.float32)
    found = search(bank, bank, 1, threads=1)
    np.testing.assert_array_equal(found.index[:, 0], np.arange(50))
    assert (found.distance == 0).all()


def test_no_queries():
    bank, none = np.zeros((5, 2), dtype=np.float32), np.zeros((0, 2), dtype=np.float32)
    assert search(none, bank, 3).index.shape == (0, 3)
    found = class_neighbours(none, np.zeros(0, dtype=np.int64), bank, np.zeros(5, dtype=np.int64), 3)
    assert found.distance.shape == (0, 3)


def test_errors():
    queries, bank = np.zeros((4, 2), dtype=np.float32), np.zeros((10, 2), dtype=np.float32)
    query_labels, bank_labels = np.array([0, 0, 1, 1]), np.array([0] * 6 + [1] * 3 + [2])

    def ask(k=2, q=queries, q_labels=query_labels, b=bank, b_labels=bank_labels):
        return class_neighbours(q, q_labels, b, b_labels, k)

    ask(k=3)  # class 2 has one row, but no query is of class 2
    with pytest.raises(ValueError, match="k = 4, but class 1 has 3 rows"):
        ask(k=4)
    with pytest.raises(ValueError, match="k = 0, but k is at least 1"):
        ask(k=0)
    with pytest.raises(ValueError, match=r"k = 11, but the bank has 10 rows"):
        search(queries, bank, 11)
    with pytest.raises(ValueError, match=r"Class 9 of the queries is not in the bank, whose classes are 0, 1, 2"):
        ask(q_labels=np.array([0, 0, 9, 1]))
    with pytest.raises(ValueError, match=r"shape \(4, 3\) and a bank of shape \(10, 2\)"):
        ask(q=np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"query_labels has shape \(3,\) for 4 rows"):
        ask(q_labels=query_labels[:3])
    for value in (np.nan, np.inf, -np.inf):
        bad = bank.copy()
        bad[6, 1] = value
        with pytest.raises(ValueError, match="Row 6 of the bank has a feature that is not finite"):
            ask(b=bad)
        with pytest.raises(ValueError, match="Row 6 of the queries"):
            search(bad, bank, 1)
