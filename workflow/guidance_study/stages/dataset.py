"""Stage `dataset`: raw files -> arrays of the training, the judges' and the held-out part."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from guidance_study.datasets import Blocks, spec_of
from guidance_study.execution.job import Job


def make(job: Job) -> None:
    """Files: train.npy, judge.npy, held_out.npy (N, *shape) float32; train_labels.npy and so on (N,) int64."""
    spec = spec_of(job)
    arrays = spec.load()
    apart = spec.judged(arrays.train_labels)
    parts = {"train": ~apart, "judge": apart}
    save({job.out / f"{part}.npy": rows for part, rows in parts.items()}, arrays.train)
    save({job.out / "held_out.npy": np.ones(len(arrays.held_out), dtype=bool)}, arrays.held_out)
    labels = {part: arrays.train_labels[rows] for part, rows in parts.items()} | {"held_out": arrays.held_out_labels}
    for part, of in labels.items():
        np.save(job.out / f"{part}_labels.npy", of)
        job.facts[part] = len(of)


def save(files: dict[Path, np.ndarray], array: np.ndarray | Blocks) -> None:
    """Save the rows (N,) bool that belong into each file as `np.save` does; of Blocks no more than one is in memory."""
    if isinstance(array, np.ndarray):
        for path, rows in files.items():
            np.save(path, array if rows.all() else array[rows])
        return
    with ExitStack() as stack:
        ends = {path: stack.enter_context(path.open("wb")) for path in files}
        for path, rows in files.items():
            header = {"descr": "<f4", "fortran_order": False, "shape": (int(rows.sum()), *array.shape[1:])}
            np.lib.format.write_array_header_1_0(ends[path], header)
        done = 0
        for block in _checked(array):
            for path, rows in files.items():
                mine = block[rows[done : done + len(block)]]
                ends[path].write(np.ascontiguousarray(mine, dtype="<f4").data)
            done += len(block)


def _checked(array: Blocks) -> Iterator[np.ndarray]:
    """The blocks; ValueError if there are more or fewer rows than announced."""
    rows = 0
    for block in array.blocks:
        rows += len(block)
        yield block
    if rows != len(array):
        raise ValueError(f"{rows} rows came, announced were {len(array)}")
