"""Approximate nearest neighbours by FAISS's inverted file, for banks of ImageNet's size, with their measured recall.

The bank is clustered into lists; a query looks into the nearest ones only. Candidates are ranked again in float64 and
ties go to the smaller index, as in the exact search. How often the answer misses is measured, not assumed.
"""

import faiss
import numpy as np

from guidance_study.neighbours.search import MARGIN, Neighbours, distances
from guidance_study.neighbours.search import class_neighbours as exact
from guidance_study.support.errors import StudyError
from guidance_study.support.randomness import generator

ROWS = 2**16  # rows of the bank copied at a time: it may be a memory map
PER_LIST = 64  # training rows for each list's centre
CHECKED = 1000  # queries whose exact answer is computed too
SMALLEST = 39  # rows a list below which FAISS's clustering is not to be trusted; such banks are searched exactly


def class_neighbours(queries: np.ndarray, query_labels: np.ndarray, bank: np.ndarray, bank_labels: np.ndarray, k: int,
                     *, lists: int, probes: int) -> tuple[Neighbours, float]:  # fmt: skip
    """As `neighbours.class_neighbours`, but approximate; and the recall, the share of true neighbours found, 0 to 1.

    Classes with fewer than SMALLEST rows a list are searched exactly.
    """
    index, distance = np.empty((len(queries), k), dtype=np.int64), np.empty((len(queries), k))
    classes, counts = np.unique(bank_labels, return_counts=True)
    few = np.isin(query_labels, classes[counts < SMALLEST * lists])
    if few.any():
        found = exact(np.asarray(queries[few]), query_labels[few], bank, bank_labels, k)
        index[few], distance[few] = found.index, found.distance
    for label in np.unique(query_labels[~few]):
        asked, rows = np.flatnonzero(query_labels == label), np.flatnonzero(bank_labels == label)
        candidates = _search(queries, asked, bank, rows, k, lists, probes)
        index[asked], distance[asked] = _ranked(queries, asked, bank, candidates, k)
    some = np.linspace(0, len(queries) - 1, min(CHECKED, len(queries))).astype(np.int64)
    true = exact(np.asarray(queries[some]), query_labels[some], bank, bank_labels, k)
    return Neighbours(index, distance), recall(index[some], true.index)


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """The share, 0 to 1, of the true neighbours (n, k) that are among those found (n, k)."""
    return float(np.mean([np.isin(t, f).mean() for f, t in zip(found, true, strict=True)]))


def _search(queries, asked, bank, rows, k: int, lists: int, probes: int) -> np.ndarray:
    """Candidates (n, width) among `rows` of the bank for the `asked` queries, -1 where lists ran empty."""
    dim = bank.shape[1]
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, lists)
    chosen = generator(0, "inverted file").choice(rows, min(len(rows), PER_LIST * lists), replace=False)
    index.train(np.ascontiguousarray(bank[np.sort(chosen)], dtype=np.float32))
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        index.add_with_ids(np.ascontiguousarray(bank[part], dtype=np.float32), part)
    index.nprobe = min(probes, lists)
    width = min(k + max(MARGIN, k // 4), len(rows))
    found = [
        index.search(np.ascontiguousarray(queries[asked[start : start + ROWS]], dtype=np.float32), width)[1]
        for start in range(0, len(asked), ROWS)
    ]
    return np.concatenate(found)


def _ranked(queries, asked, bank, candidates: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best candidates by their float64 distance, ties by index. StudyError if a query has fewer than k."""
    missing = candidates < 0
    if (~missing).sum(axis=1).min() < k:
        raise StudyError(
            f"the searched lists hold fewer than k = {k} rows for some query; search more of them (probes)"
        )
    safe = np.where(missing, candidates[:, :1], candidates)
    distance = distances(queries, np.repeat(asked, safe.shape[1]), bank, safe.ravel()).reshape(safe.shape)
    distance[missing] = np.inf
    order = np.lexsort((safe, distance), axis=1)[:, :k]
    return np.take_along_axis(safe, order, axis=1), np.take_along_axis(distance, order, axis=1)
