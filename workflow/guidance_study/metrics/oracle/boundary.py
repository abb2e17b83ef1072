"""The decision boundary of a mixture of two classes, on clean data."""

import contourpy
import numpy as np
import torch
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from guidance_study.metrics.oracle import Oracle

LINE = 20001  # points of the grid on which a boundary on a line is sought
PLANE, FINER = 151, 3  # points a side of the grid on which a boundary in the plane is sought, and its refinement
SPACING = 0.002  # of the points along that boundary


class Boundary:
    """Where p(c = 0 | x) = p(c = 1 | x) on clean data, as far as that is within `reach` of 0 along every axis.

    `points` (M, d): on a line the roots, by bisection; in the plane points along the zero contours of the log ratio.
    """

    name = None  # in rows of measures, as a judge: the mixture's is the only one

    def __init__(self, oracle: Oracle, reach: float = 6.0):
        self.reach, self._oracle = reach, oracle
        self.points = self._line(oracle) if oracle.dimension == 1 else self._plane(oracle)
        self._tree = cKDTree(self.points)

    def distance(self, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Signed distance of x (N, d) to the boundary, (N,), in the unit of x: positive on the side of the label (N,).

        Points beyond `reach` see what of the boundary is within it.
        """
        side = np.where(_log_ratio(self._oracle, np.asarray(x, dtype=np.float64)) > 0, 1, 0)
        return np.where(side == labels, 1.0, -1.0) * self._tree.query(x)[0]

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
        self.lines = [np.asarray(line) for line in contourpy.contour_generator(side, side, fine).lines(0.0)]
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
