"""Stage `postprocessed`: generations moved along the postprocessing flow by Dopri5, in blocks fixed by index."""

import numpy as np
import torch

from guidance_study.execution.devices import undivided
from guidance_study.execution.job import Job
from guidance_study.execution.sharding import Work, rows
from guidance_study.metrics.sets.real import real_sample
from guidance_study.networks.models import batches, load_flow, set_up
from guidance_study.processes.rectified_flow import velocity
from guidance_study.processes.samplers.dopri5 import solve
from guidance_study.store.rows import scale_of
from guidance_study.support.reading import read_array


def work(job: Job) -> Work:
    """The generations after their flows, a solver's block at a time; the flows' time is shared within a block only."""
    device, solver = set_up(), job.params["solver"]
    start, labels, of = _start(job)
    units = [
        (int(mine[a]), int(mine[a]) + b - a, role)
        for scale, role in zip(dict.fromkeys(of.tolist()), job.params["flows"], strict=True)
        for mine in [np.flatnonzero(of == scale)]
        for a, b in batches(len(mine), solver["block"])
    ]
    fields = {role: velocity(*load_flow(job.inputs[role])) for role in dict.fromkeys(job.params["flows"])}

    def compute(first: int, last: int, role: str) -> tuple[np.ndarray, int]:
        block = torch.from_numpy(np.array(start[first:last])).to(device)
        label = torch.from_numpy(labels[first:last]).to(device)
        with torch.no_grad(), undivided(f"a block of {solver['block']} samples", "solver.block"):
            solution = solve(fields[role], block, label, solver["rtol"], solver["atol"], first)
        return solution.end.cpu().numpy(), solution.nfe

    return Work("samples.npy", start.shape, units, compute)


def _start(job: Job) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is moved (n, *shape), its labels (n,) and guidance scales (n,): generations, or real data of no scale."""
    if "real" in job.params:
        x, labels = real_sample(job.inputs["dataset"], job.params["real"])
        return x, labels, np.zeros(len(x))
    source = job.inputs["samples"]
    x = read_array(source.path / "samples.npy", mmap_mode="r")
    return x, read_array(source.path / "labels.npy"), scale_of(source.params)


def make(job: Job) -> None:
    """Files: samples.npy (n, *shape) float32, in the order of the generations. The manifest holds each block's NFE."""
    job.facts["nfe"] = rows(job, work)
