"""What the rows of an artefact's arrays are, from its recipe parameters alone."""

import numpy as np


def shares(scales: list[float], n: int) -> np.ndarray:
    """The guidance scale of each of n samples, (n,) float64: equal contiguous shares, the first ones larger by one."""
    return np.repeat(np.array(scales, dtype=np.float64), _sizes(scales, n))


def scale_of(samples: dict) -> np.ndarray:
    """The guidance scale of each row of a `samples` artefact, (n,) float64, from its recipe parameters."""
    return shares(samples["scales"], samples["n"])


def drawn(samples: dict) -> np.ndarray:
    """The draw that each row of a `samples` artefact is made from, (n,) int64: its noise and, by turns, its class.

    Generations that are measured take the same draws at every scale, so that scales compare sample by sample; what a
    flow learns from does not, so that it sees as many noises as it can.
    """
    if samples["purpose"] != "evaluation":
        return np.arange(samples["n"])
    return np.concatenate([np.arange(size) for size in _sizes(samples["scales"], samples["n"])])


def _sizes(scales: list[float], n: int) -> list[int]:
    """Samples of each scale: equal shares, the first ones larger by one."""
    return [n // len(scales) + (i < n % len(scales)) for i in range(len(scales))]


def chosen(pool: dict, scales: list[float], n: int) -> np.ndarray:
    """Rows (n,) of a pool with these recipe parameters that a flow learns from: each of `scales` has an equal share."""
    of, wanted = shares(pool["scales"], pool["n"]), shares(scales, n)
    return np.concatenate([np.flatnonzero(of == scale)[: int((wanted == scale).sum())] for scale in scales])


def columns(params: dict) -> list[tuple[str, float]]:
    """(run, scale) of each row of trajectories.npy."""
    return [(run["name"], scale) for run in params["runs"] for scale in run["scales"]]
