"""Stage `dataset`: raw files -> arrays of the training and the held-out part."""

from pathlib import Path

import numpy as np

from guidance_study.datasets import Blocks, spec_of
from guidance_study.execution.job import Job


def make(job: Job) -> None:
    """Files: train.npy, held_out.npy (N, *shape) float32; train_labels.npy, held_out_labels.npy (N,) int64."""
    arrays = spec_of(job).load()
    for name in ("train", "train_labels", "held_out", "held_out_labels"):
        save(job.out / f"{name}.npy", getattr(arrays, name))
    job.facts |= {"train": len(arrays.train), "held_out": len(arrays.held_out)}


def save(path: Path, array: np.ndarray | Blocks) -> None:
    """Save as `np.save` does; of Blocks no more than one is in memory."""
    if isinstance(array, np.ndarray):
        np.save(path, array)
        return
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype("<f4")), "fortran_order": False, "shape": array.shape}
    rows = 0
    with path.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for block in array.blocks:
            out.write(np.ascontiguousarray(block, dtype="<f4").data)
            rows += len(block)
    if rows != len(array):
        raise ValueError(f"{rows} rows came for '{path.name}', announced were {len(array)}")
