"""What the rows of an artefact's arrays are, from its recipe parameters alone."""

import numpy as np


def shares(scales: list[float], n: int) -> np.ndarray:
    """The guidance scale of each of n samples, (n,) float64: equal contiguous shares, the first ones larger by one."""
    return np.concatenate(
        [np.full(len(part), s) for s, part in zip(scales, np.array_split(np.arange(n), len(scales)), strict=True)]
    )


def scale_of(samples: dict) -> np.ndarray:
    """The guidance scale of each row of a `samples` artefact, (n,) float64, from its recipe parameters."""
    return shares(samples["scales"], samples["n"])


def chosen(pool: dict, scales: list[float], n: int) -> np.ndarray:
    """Rows (n,) of a pool with these recipe parameters that a flow learns from: each of `scales` has an equal share."""
    of, wanted = shares(pool["scales"], pool["n"]), shares(scales, n)
    return np.concatenate([np.flatnonzero(of == scale)[: int((wanted == scale).sum())] for scale in scales])


def columns(params: dict) -> list[tuple[str, float]]:
    """(run, scale) of each row of trajectories.npy."""
    return [(run["name"], scale) for run in params["runs"] for scale in run["scales"]]
