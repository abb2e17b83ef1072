"""Exact nearest neighbours, within a class or over a whole bank.

FAISS finds candidates by d^2 = |q|^2 + |b|^2 - 2 q.b in float32, where there are few dimensions a k-d tree in float64.
They are ranked again by sum (q - b)^2 in float64, and ties go to the smaller index. A bound on the error tells for each
query whether a row that was left out could still belong to the answer (many duplicates, a query far away); such queries
are searched again in float64. So the answer is that of a float64 brute force, the same on a CPU and on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import faiss
import numpy as np
from scipy.spatial import cKDTree
from threadpoolctl import threadpool_limits

BLOCK = 2**23  # values in the largest temporary array: 64 MiB in float64
MARGIN = 8  # candidates beyond k: more of them make the float64 search rarer, but ranking longer
TREE_DIMENSION = 3  # up to which a k-d tree finds the candidates
_FAR = 2.0**40  # in units of the bank's size; squares of larger norms might overflow in float32
_FAISS_GPU_MAX_K = 2048


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest rows of a bank for each of N queries, nearest first."""

    index: np.ndarray  # (N, k) int64, rows of the bank
    distance: np.ndarray  # (N, k) float64, Euclidean, in the unit of the features


def search(queries: np.ndarray, bank: np.ndarray, k: int, *, threads: int | None = None) -> Neighbours:
    """The k nearest rows of the bank for each query.

    queries (N, D) and bank (M, D), float32 or another real type, in memory or memory-mapped. `threads` caps
    those of FAISS and BLAS; None leaves them as they are.
    ValueError: k below 1 or above M, dimensions that differ, a feature that is not finite.
    """
    queries, bank = _checked(queries, bank, k)
    if k > len(bank):
        raise ValueError(f"k = {k}, but the bank has {len(bank)} rows: k is at most that.")
    return _search_groups(queries, bank, [(np.arange(len(queries)), np.arange(len(bank)))], k, threads)


def class_neighbours(
    queries: np.ndarray,
    query_labels: np.ndarray,
    bank: np.ndarray,
    bank_labels: np.ndarray,
    k: int,
    *,
    threads: int | None = None,
) -> Neighbours:
    """The k nearest rows of the bank for each query, among the rows of the query's own class.

    queries (N, D), query_labels (N,), bank (M, D), bank_labels (M,); the rest as in `search`.
    ValueError: k below 1 or above the smallest class that a query has, a query's class that the bank lacks,
    shapes that do not fit, a feature that is not finite.
    """
    queries, bank = _checked(queries, bank, k)
    query_labels = _checked_labels("query_labels", query_labels, queries)
    bank_labels = _checked_labels("bank_labels", bank_labels, bank)
    groups = []
    for label in np.unique(query_labels):
        bank_rows = np.flatnonzero(bank_labels == label)
        if not len(bank_rows):
            present = ", ".join(map(str, np.unique(bank_labels)))
            raise ValueError(f"Class {label} of the queries is not in the bank, whose classes are {present}.")
        groups.append((np.flatnonzero(query_labels == label), bank_rows))
    if groups:
        query_rows, bank_rows = min(groups, key=lambda group: len(group[1]))
        if k > len(bank_rows):
            smallest = f"class {query_labels[query_rows[0]]} has {len(bank_rows)} rows in the bank"
            raise ValueError(f"k = {k}, but {smallest}: k is at most that.")
    return _search_groups(queries, bank, groups, k, threads)


def distances(a: np.ndarray, a_rows: np.ndarray, b: np.ndarray, b_rows: np.ndarray) -> np.ndarray:
    """|a[a_rows[i]] - b[b_rows[i]]| for each i, (n,) float64; equal rows have equal distances."""
    squared = np.empty(len(a_rows))
    for part in _parts(len(a_rows), a.shape[1]):
        difference = np.subtract(a[a_rows[part]], b[b_rows[part]], dtype=np.float64)  # (part, D)
        np.multiply(difference, difference, out=difference)
        squared[part] = difference.sum(axis=1)
    return np.sqrt(squared)


def squared_by_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|a_i|^2 + |b_j|^2 - 2 a_i.b_j and a bound on its error, (n, m) each, for float64 a (n, D), b (m, D).

    Far cheaper than differences; what is closer to a threshold than the bound needs `distances`.
    """
    a_squared, b_squared = np.einsum("nd,nd->n", a, a), np.einsum("nd,nd->n", b, b)
    squared = a @ b.T
    squared *= -2
    squared += a_squared[:, None]
    squared += b_squared
    return squared, _error(a.shape[1], np.sqrt(a_squared)[:, None] + np.sqrt(b_squared), np.float64)


def mean_row(bank: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The mean of bank[rows], (D,) float64. Taking it away changes no distance and prevents cancellation."""
    total = np.zeros(bank.shape[1])
    for part in _parts(len(rows), bank.shape[1]):
        total += bank[rows[part]].sum(axis=0, dtype=np.float64)
    return total / len(rows)


@dataclass(frozen=True, eq=False)
class _Group:
    """Rows of the queries, and of the bank to search; placed: relative to a centre, in units of the bank's size."""

    queries: np.ndarray  # (N, D)
    query_rows: np.ndarray  # (n,)
    bank: np.ndarray  # (M, D)
    bank_rows: np.ndarray  # (m,), ascending
    centre: np.ndarray  # (D,) float64, the mean of the bank's rows
    scale: float  # a power of two, so it changes no digit

    def asked(self, part: slice = slice(None)) -> np.ndarray:
        """Some of the queries, placed, (part, D)."""
        return self._place(self.queries[self.query_rows[part]])

    def held(self, part: slice = slice(None)) -> np.ndarray:
        """Some of the bank's rows, placed, (part, D)."""
        return self._place(self.bank[self.bank_rows[part]])

    def _place(self, rows: np.ndarray) -> np.ndarray:
        return np.subtract(rows, self.centre, dtype=np.float64) * self.scale


def _search_groups(
    queries: np.ndarray, bank: np.ndarray, groups: list[tuple], k: int, threads: int | None
) -> Neighbours:
    """Search for each group's (rows of the queries) among its (rows of the bank), and join the answers."""
    _largest("the queries", queries)
    # Twice the modulus, since the mean is taken away: the bank's rows have norms of at most 1 then.
    scale = 2.0 ** -np.frexp(2 * bank.shape[1] ** 0.5 * _largest("the bank", bank))[1]
    index = np.empty((len(queries), k), dtype=np.int64)
    distance = np.empty((len(queries), k))
    with threadpool_limits(limits=threads):
        for query_rows, bank_rows in groups:
            group = _Group(queries, query_rows, bank, bank_rows, mean_row(bank, bank_rows), scale)
            index[query_rows], distance[query_rows] = _search(group, k)
    return Neighbours(index, distance)


def _search(group: _Group, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Index and distance (n, k) of the nearest rows of the bank for a group's queries."""
    dim, width = group.bank.shape[1], min(k + max(MARGIN, k // 4), len(group.bank_rows))
    low = dim <= TREE_DIMENSION
    find, precision = (_tree_candidates, np.float64) if low else (_candidates, np.float32)
    index, worst, norm = find(group, width)
    asked = np.repeat(group.query_rows, width)
    distance = distances(group.queries, asked, group.bank, index.ravel()).reshape(index.shape)
    order = np.lexsort((index, distance), axis=1)[:, :k]
    index, distance = np.take_along_axis(index, order, axis=1), np.take_along_axis(distance, order, axis=1)
    if width == len(group.bank_rows):
        return index, distance
    # A row at a distance of at most r has a norm of at most |q| + r: the search saw its square as at most r^2
    # plus the error for these norms. Where even the worst candidate is beyond that, it left out no such row.
    r = distance[:, -1] * group.scale
    sure = worst > r**2 + _error(dim, 2 * norm + r, precision)
    again = np.flatnonzero(~sure)
    if len(again):
        unsure = replace(group, query_rows=group.query_rows[again])
        index[again], distance[again] = _search_float64(unsure, k, r[again])
    return index, distance


def _candidates(group: _Group, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """FAISS's best rows of the bank (n, width), its square for the worst (n,), the norms of the queries (n,).

    Squares and norms are those of placed features; a norm is infinite where FAISS's squares mean nothing.
    """
    count, dim = len(group.query_rows), group.bank.shape[1]
    index = np.full((count, width), -1, dtype=np.int64)
    squared = np.full((count, width), np.inf, dtype=np.float32)
    norm = np.empty(count)
    for block in _parts(len(group.bank_rows), dim, at_least=width):
        held = group.held(block).astype(np.float32)
        for part in _parts(count, max(dim, 8 * width)):
            asked = group.asked(part)
            norm[part] = np.linalg.norm(asked, axis=1)
            far = norm[part] > _FAR
            asked[far] *= (_FAR / norm[part][far])[:, None]
            norm[part][far] = np.inf
            new_squared, new = _knn(asked.astype(np.float32), held, min(width, len(held)))
            all_squared = np.concatenate([squared[part], new_squared], axis=1)
            all_index = np.concatenate([index[part], group.bank_rows[block][new]], axis=1)
            best = np.argpartition(all_squared, width - 1, axis=1)[:, :width]
            squared[part] = np.take_along_axis(all_squared, best, axis=1)
            index[part] = np.take_along_axis(all_index, best, axis=1)
    return index, squared.max(axis=1).astype(np.float64), norm


def _tree_candidates(group: _Group, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same as `_candidates`, by a k-d tree in float64: for few dimensions, where it is far faster."""
    asked = group.asked()
    distance, found = cKDTree(group.held()).query(asked, np.arange(1, width + 1))
    return group.bank_rows[found], distance[:, -1] ** 2, np.linalg.norm(asked, axis=1)


def _search_float64(group: _Group, k: int, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index and distance (n, k) from all rows that may be within a placed distance of `limit` (n,); k are."""
    query_rows, bank_rows, dim = group.query_rows, group.bank_rows, group.bank.shape[1]
    index, distance = np.empty((len(query_rows), k), dtype=np.int64), np.empty((len(query_rows), k))
    for part in _parts(len(query_rows), max(len(bank_rows), dim)):  # at worst, all rows are ties
        asked = group.asked(part)
        places, found = [], []
        for block in _parts(len(bank_rows), dim):
            squared, error = squared_by_product(asked, group.held(block))
            hit = np.nonzero(squared <= limit[part, None] ** 2 + error)
            places.append(hit[0])
            found.append(bank_rows[block][hit[1]])
        which, row = np.concatenate(places), np.concatenate(found)
        exact = distances(group.queries, query_rows[part][which], group.bank, row)
        order = np.lexsort((row, exact, which))
        first = np.searchsorted(which[order], np.arange(len(asked)))
        best = order[first[:, None] + np.arange(k)]
        index[part], distance[part] = row[best], exact[best]
    return index, distance


def _knn(queries: np.ndarray, bank: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances and rows, both (n, k), by FAISS's flat search in float32."""
    gpu = _gpu()
    if gpu is not None and k <= _FAISS_GPU_MAX_K:
        return faiss.knn_gpu(gpu, queries, bank, k)
    return faiss.knn(queries, bank, k)


@cache
def _gpu():
    """FAISS's handle of the GPU; None where there is none, or in a FAISS built for CPUs."""
    if not hasattr(faiss, "StandardGpuResources"):
        return None
    from guidance_study.execution.devices import claim  # and torch with it, which a FAISS for CPUs does without

    if not claim() or faiss.get_num_gpus() < 1:
        return None
    return faiss.StandardGpuResources()


def _error(dim: int, norms: np.ndarray, precision: type) -> np.ndarray:
    """How far |a|^2 + |b|^2 - 2 a.b in `precision` may be from |a - b|^2, where norms = |a| + |b|.

    A sum of D products, in any order, is off by at most D u times the sum of their moduli (Higham, Accuracy
    and Stability of Numerical Algorithms, 2002, Sec. 3.1); the sum of the three terms and the rounding of a
    and b add 5 u. eps is 2 u, to cover the rounding of `distances` too; the last term is for underflow.
    """
    limits = np.finfo(precision)
    return (dim + 8) * (float(limits.eps) * norms**2 + float(limits.tiny))


def _parts(count: int, width: int, at_least: int = 1) -> Iterator[slice]:
    """Slices of `count` rows of `width` values, each of at most BLOCK values or of `at_least` rows."""
    step = max(BLOCK // width, at_least)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _checked(queries: np.ndarray, bank: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    queries, bank = np.asarray(queries), np.asarray(bank)
    if k < 1:
        raise ValueError(f"k = {k}, but k is at least 1.")
    if queries.ndim != 2 or bank.ndim != 2 or queries.shape[1] != bank.shape[1] or not bank.shape[1]:
        shapes = f"queries of shape {queries.shape} and a bank of shape {bank.shape}"
        raise ValueError(f"There are {shapes}: both are (rows, dimension), with the same dimension.")
    return queries, bank


def _checked_labels(name: str, labels: np.ndarray, features: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != features.shape[:1]:
        raise ValueError(f"{name} has shape {labels.shape} for {len(features)} rows: it is one label a row.")
    return labels


def _largest(name: str, features: np.ndarray) -> float:
    """The largest modulus of all values; ValueError that names the first row with one that is not finite."""
    largest = 0.0
    for part in _parts(len(features), features.shape[1]):
        rows = features[part]
        ends = abs(float(rows.max())), abs(float(rows.min()))  # both are NaN where any value is
        if not np.isfinite(ends).all():
            row = part.start + int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
            raise ValueError(f"Row {row} of {name} has a feature that is not finite.")
        largest = max(largest, *ends)
    return largest
