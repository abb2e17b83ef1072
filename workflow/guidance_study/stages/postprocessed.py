"""Stage `postprocessed`: generations moved along the postprocessing flow by Dopri5, in blocks fixed by index."""

import numpy as np
import torch

from guidance_study.config import seams
from guidance_study.execution.devices import undivided
from guidance_study.execution.job import Input, Job
from guidance_study.execution.sharding import Work, rows
from guidance_study.networks.models import batches, frozen, set_up, state_of
from guidance_study.processes.rectified_flow import Velocity, solve, velocity
from guidance_study.store.rows import shares


def load_velocity(source: Input) -> Velocity:
    """The v(z, s, label) of a `postprocessor` artefact."""
    params, state = source.params, state_of(source)
    scale = float(state.pop("output_scale"))
    network = seams.parse("networks", params["network"]).build(tuple(params["shape"]), params["rows"])
    return velocity(frozen(network, state), scale)


def work(job: Job) -> Work:
    """The generations after their flows, a solver's block at a time; the flows' time is shared within a block only."""
    device, solver, source = set_up(), job.params["solver"], job.inputs["samples"]
    start = np.load(source.path / "samples.npy", mmap_mode="r")
    labels = np.load(source.path / "labels.npy")
    of = shares(source.params["scales"], source.params["n"])
    units = [
        (int(mine[a]), int(mine[a]) + b - a, role)
        for scale, role in zip(source.params["scales"], job.params["flows"], strict=True)
        for mine in [np.flatnonzero(of == scale)]
        for a, b in batches(len(mine), solver["block"])
    ]
    fields = {role: load_velocity(job.inputs[role]) for role in dict.fromkeys(job.params["flows"])}

    def compute(first: int, last: int, role: str) -> tuple[np.ndarray, int]:
        block = torch.from_numpy(np.array(start[first:last])).to(device)
        label = torch.from_numpy(labels[first:last]).to(device)
        with torch.no_grad(), undivided(f"a block of {solver['block']} samples", "solver.block"):
            solution = solve(fields[role], block, label, solver["rtol"], solver["atol"], first)
        return solution.end.cpu().numpy(), solution.nfe

    return Work("samples.npy", start.shape, units, compute)


def make(job: Job) -> None:
    """Files: samples.npy (n, *shape) float32, in the order of the generations. The manifest holds each block's NFE."""
    job.facts["nfe"] = rows(job, work)
