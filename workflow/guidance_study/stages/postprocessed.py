"""Stage `postprocessed`: generations moved along the postprocessing flow by Dopri5, in blocks fixed by index."""

import numpy as np
import torch

from guidance_study import networks
from guidance_study.jobs import Input, Job
from guidance_study.models import batches, frozen, set_up, state_of
from guidance_study.processes.rectified_flow import Velocity, solve, velocity
from guidance_study.progress import track
from guidance_study.rows import shares


def load_velocity(source: Input) -> Velocity:
    """The v(z, s, label) of a `postprocessor` artefact."""
    params, state = source.params, state_of(source)
    scale = float(state.pop("output_scale"))
    network = networks.build(params["network"], tuple(params["shape"]), params["rows"])
    return velocity(frozen(network, state), scale)


def make(job: Job) -> None:
    """Files: samples.npy (n, *shape) float32, in the order of the generations. The manifest holds each block's NFE."""
    device, solver, source = set_up(), job.params["solver"], job.inputs["samples"]
    start = np.load(source.path / "samples.npy", mmap_mode="r")
    labels = np.load(source.path / "labels.npy")
    of = shares(source.params["scales"], source.params["n"])
    blocks = [
        (role, int(rows[a]), int(rows[a]) + b - a)
        for scale, role in zip(source.params["scales"], job.params["flows"], strict=True)
        for rows in [np.flatnonzero(of == scale)]
        for a, b in batches(len(rows), solver["block"])
    ]
    fields = {role: load_velocity(job.inputs[role]) for role in dict.fromkeys(job.params["flows"])}
    out = np.lib.format.open_memmap(job.out / "samples.npy", "w+", np.float32, start.shape)
    nfe = []
    with torch.no_grad():
        for role, first, last in track(blocks, len(blocks), "Dopri5 blocks"):
            block = torch.from_numpy(np.array(start[first:last])).to(device)
            label = torch.from_numpy(labels[first:last]).to(device)
            solution = solve(fields[role], block, label, solver["rtol"], solver["atol"], first)
            out[first:last] = solution.end.cpu().numpy()
            nfe.append(solution.nfe)
    out.flush()
    job.facts["nfe"] = nfe
