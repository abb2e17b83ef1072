"""Real samples that generations of a pool are moved to: the nearest of their class (Eq. 9), and those of controls."""

import numpy as np

from guidance_study.neighbours.search import Neighbours, distances
from guidance_study.support.randomness import generator

WIDER = {"near_boundary": 2, "far_boundary": 2, "balanced": 16}  # candidates that are searched, in units of k


def random_targets(labels: np.ndarray, bank_labels: np.ndarray, k: int, seed: int) -> np.ndarray:
    """k random rows of the bank of each sample's class, without repetition, (n, k) int64; labels (n,), (N,)."""
    index = np.empty((len(labels), k), dtype=np.int64)
    for label in np.unique(labels):
        mine, bank = np.flatnonzero(labels == label), np.flatnonzero(bank_labels == label)
        draw = generator(seed, "targets/random", int(label))
        for row in mine:
            index[row] = draw.choice(bank, k, replace=False)
    return index


def balanced_targets(found: Neighbours, labels: np.ndarray, bank_labels: np.ndarray, k: int) -> np.ndarray:
    """k of each sample's neighbours, (n, k) int64, so that each real sample is used about equally often.

    The closest pairs are served first. A real sample that was used n k / N times, rounded up, among those of its class
    (n generations, N real ones) is taken no more; a generation whose neighbours are all taken falls back on its
    nearest.
    """
    index = np.full((len(labels), k), -1, dtype=np.int64)
    filled, used = np.zeros(len(labels), dtype=np.int64), np.zeros(len(bank_labels), dtype=np.int64)
    counts = {c: ((labels == c).sum(), (bank_labels == c).sum()) for c in np.unique(labels)}
    most = np.array([-(-counts[c][0] * k // counts[c][1]) if c in counts else 0 for c in bank_labels])
    for pair in np.argsort(found.distance, axis=None, kind="stable"):
        row, bank = pair // found.index.shape[1], found.index.flat[pair]
        if filled[row] < k and used[bank] < most[bank]:
            index[row, filled[row]] = bank
            filled[row] += 1
            used[bank] += 1
    for row in np.flatnonzero(filled < k):
        left = np.setdiff1d(found.index[row], index[row], assume_unique=True)
        near = found.index[row][np.isin(found.index[row], left)]
        index[row, filled[row] :] = near[: k - filled[row]]
    return index


def by_boundary(found: Neighbours, margins: np.ndarray, near: bool) -> np.ndarray:
    """Of the 2 k nearest in pairs, each as far away as the other but for its place in the order, one: (n, k) int64.

    The one of the smaller (`near`) or of the larger margin; margins (N,) of the bank.
    """
    pairs = found.index.reshape(len(found.index), -1, 2)
    first = margins[pairs[..., 0]] <= margins[pairs[..., 1]]
    return np.where(first == near, pairs[..., 0], pairs[..., 1])


def at_distances(features: np.ndarray, bank: np.ndarray, index: np.ndarray) -> Neighbours:
    """These targets with their distances in a space, nearest first; features (n, D), bank (N, D), index (n, k)."""
    n, k = index.shape
    found = distances(features, np.repeat(np.arange(n), k), bank, index.ravel()).reshape(n, k)
    order = np.argsort(found, axis=1, kind="stable")
    return Neighbours(np.take_along_axis(index, order, 1), np.take_along_axis(found, order, 1))


def lowest(key: np.ndarray, groups: np.ndarray, share: float) -> np.ndarray:
    """Which (n,) bool have the lowest keys (n,) of their group: a share of it, rounded, at least one."""
    chosen = np.zeros(len(key), dtype=bool)
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        order = mine[np.argsort(key[mine], kind="stable")]
        chosen[order[: max(1, round(share * len(mine)))]] = True
    return chosen
