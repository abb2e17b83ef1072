"""Stage `postprocessed`: generations moved along the postprocessing flow by Dopri5, in blocks fixed by index."""

import numpy as np
import torch

from guidance_study import networks
from guidance_study.jobs import Input, Job
from guidance_study.models import batches, frozen, set_up, state_of
from guidance_study.processes.rectified_flow import Velocity, solve, velocity
from guidance_study.progress import track


def load_velocity(source: Input) -> Velocity:
    """The v(z, s, label) of a `postprocessor` artefact."""
    params, state = source.params, state_of(source)
    scale = float(state.pop("output_scale"))
    network = networks.build(params["network"], tuple(params["shape"]), params["rows"])
    return velocity(frozen(network, state), scale)


def make(job: Job) -> None:
    """Files: samples.npy (n, *shape) float32, in the order of the generations. The manifest holds each block's NFE."""
    device, solver = set_up(), job.params["solver"]
    source = job.inputs["samples"].path
    start = np.load(source / "samples.npy", mmap_mode="r")
    labels = np.load(source / "labels.npy")
    field = load_velocity(job.inputs["postprocessor"])
    ranges = list(batches(len(start), solver["block"]))
    out = np.empty(start.shape, dtype=np.float32)
    nfe = []
    with torch.no_grad():
        for first, last in track(ranges, len(ranges), "Dopri5 blocks"):
            block = torch.from_numpy(np.array(start[first:last])).to(device)
            label = torch.from_numpy(labels[first:last]).to(device)
            solution = solve(field, block, label, solver["rtol"], solver["atol"], first)
            out[first:last] = solution.end.cpu().numpy()
            nfe.append(solution.nfe)
    np.save(job.out / "samples.npy", out)
    job.facts["nfe"] = nfe
