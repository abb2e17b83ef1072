"""Measures of points whose distribution is known: distance to the boundary, to real data, to the true class."""

from __future__ import annotations

import contourpy
import numpy as np
import torch
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

from guidance_study.metrics.oracle import Oracle

LINE = 20001  # points of the grid on which a boundary on a line is sought
PLANE, FINER = 151, 3  # points a side of the grid on which a boundary in the plane is sought, and its refinement
SPACING = 0.002  # of the points along that boundary
DIRECTIONS = 32  # of the sliced Wasserstein distance


class Boundary:
    """Where p(c = 0 | x) = p(c = 1 | x) on clean data, as far as that is within `reach` of 0 along every axis.

    `points` (M, d): on a line the roots, by bisection; in the plane points along the zero contours of the log ratio.
    """

    def __init__(self, oracle: Oracle, reach: float = 6.0):
        self.reach = reach
        self.points = self._line(oracle) if oracle.dimension == 1 else self._plane(oracle)
        self._tree = cKDTree(self.points)

    def distance(self, x: np.ndarray) -> np.ndarray:
        """Distance of x (N, d) to the boundary, (N,), in the unit of x; points beyond `reach` see what is within it."""
        return self._tree.query(x)[0]

    def _line(self, oracle: Oracle) -> np.ndarray:
        low = np.linspace(-self.reach, self.reach, LINE)
        ratio = _log_ratio(oracle, low[:, None])
        exact = low[ratio == 0]
        left = np.flatnonzero(ratio[:-1] * ratio[1:] < 0)
        a, b, sign = low[left], low[left + 1], np.sign(ratio[left])
        for _ in range(60):
            middle = (a + b) / 2
            same = np.sign(_log_ratio(oracle, middle[:, None])) == sign
            a, b = np.where(same, middle, a), np.where(same, b, middle)
        return np.concatenate([exact, (a + b) / 2])[:, None]

    def _plane(self, oracle: Oracle) -> np.ndarray:
        """A coarse grid, then a finer one in the cells whose corners differ in sign and in those around them."""
        coarse = np.linspace(-self.reach, self.reach, PLANE)
        ratio = _log_ratio(oracle, _mesh(coarse)).reshape(PLANE, PLANE)
        sign = ratio > 0
        corners = np.stack([sign[:-1, :-1], sign[1:, :-1], sign[:-1, 1:], sign[1:, 1:]])
        near = binary_dilation(corners.any(0) & ~corners.all(0), np.ones((3, 3)))
        side = np.linspace(-self.reach, self.reach, FINER * (PLANE - 1) + 1)
        fine = RegularGridInterpolator((coarse, coarse), ratio)(_mesh(side)[:, ::-1]).reshape(len(side), len(side))
        cell = np.minimum(np.arange(len(side)) // FINER, PLANE - 2)
        again = near[np.ix_(cell, cell)]
        fine[again] = _log_ratio(oracle, _mesh(side)[again.ravel()])
        self.lines = contourpy.contour_generator(side, side, fine).lines(0.0)
        return np.concatenate([_along(line) for line in self.lines])


def _mesh(side: np.ndarray) -> np.ndarray:
    """All (x, y) with both in `side`, (n n, 2), x running fastest."""
    return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)


def _log_ratio(oracle: Oracle, x: np.ndarray) -> np.ndarray:
    return oracle.log_ratio(torch.from_numpy(x)).numpy()


def _along(line: np.ndarray) -> np.ndarray:
    """Points no farther than SPACING apart along a polyline (P, 2)."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    reached = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0, reached[-1], max(2, int(np.ceil(reached[-1] / SPACING)) + 1))
    return np.stack([np.interp(at, reached, line[:, i]) for i in range(2)], 1)


def right_class(oracle: Oracle, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the most probable class of each point (N, d) by the exact posterior is its label, (N,) bool."""
    return oracle.class_logits(torch.from_numpy(np.asarray(x, dtype=np.float64))).argmax(1).numpy() == labels


def nearest_real(x: np.ndarray, labels: np.ndarray, real: np.ndarray, real_labels: np.ndarray) -> np.ndarray:
    """Distance of each point (N, d) to the nearest real point of its class, (N,) float64."""
    found = np.empty(len(x))
    for label in np.unique(labels):
        mine = labels == label
        found[mine] = cKDTree(real[real_labels == label]).query(x[mine])[0]
    return found


def projected(x: np.ndarray) -> np.ndarray:
    """Projections (directions, N) of points (N, d): on a line the points, else on fixed even directions."""
    if x.shape[1] == 1:
        return x.T
    angle = (np.arange(DIRECTIONS) + 0.5) * np.pi / DIRECTIONS
    return np.stack([np.cos(angle), np.sin(angle)], 1) @ x.T


def wasserstein(x: np.ndarray, reference: np.ndarray) -> float:
    """W1 between two samples, `projected`: on a line itself; in the plane sliced, the mean over the directions."""
    return float(np.mean([wasserstein_distance(a, b) for a, b in zip(x, reference, strict=True)]))


def bend(paths: np.ndarray) -> float:
    """Length of a path over its chord, the median over paths (frames, N, d); 1 is straight."""
    length = np.linalg.norm(np.diff(paths, axis=0), axis=2).sum(0)
    chord = np.linalg.norm(paths[-1] - paths[0], axis=1)
    return float(np.median(length / np.maximum(chord, np.finfo(float).tiny)))


def rms(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square Euclidean distance between two arrays of points (..., d)."""
    return float(np.sqrt(np.square(a - b).sum(-1).mean()))


def effective_share(index: np.ndarray, labels: np.ndarray) -> float:
    """Effective sample size 1 / sum w_j^2 of neighbour targets over the number of points, the mean over classes.

    index (N, k): rows of the real data; w_j is the share of a class's targets that fall on row j.
    """
    shares = []
    for label in np.unique(labels):
        counts = np.unique(index[labels == label], return_counts=True)[1]
        weights = counts / counts.sum()
        shares.append(1 / np.square(weights).sum() / (labels == label).sum())
    return float(np.mean(shares))


def worst_ratio(before: np.ndarray, after: np.ndarray, share: float) -> float:
    """Mean distance before over after, of the worst share by the distance BEFORE (our reading of Tab. 1)."""
    worst = np.argsort(-before, kind="stable")[: max(1, round(share * len(before)))]
    return float(before[worst].mean() / after[worst].mean())


def coverage(x: np.ndarray, real: np.ndarray, k: int) -> float:
    """Coverage (Naeem et al. 2020) of real points (M, d) by points (N, d) of the same class.

    The share of real points whose ball, reaching their k-th nearest other real point, holds a generation; as many
    real points as generations, the first ones.
    """
    real = real[: len(x)]
    radius = cKDTree(real).query(real, k + 1)[0][:, -1]
    return float((cKDTree(x).query(real)[0] <= radius).mean())


def spacing(real: np.ndarray) -> np.ndarray:
    """Distance of each point (N, d) to its nearest other one, (N,)."""
    return cKDTree(real).query(real, 2)[0][:, 1]
