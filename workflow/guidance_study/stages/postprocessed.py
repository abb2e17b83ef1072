"""Stage `postprocessed`: generations moved along the postprocessing flow by Dopri5, in blocks fixed by index."""

import numpy as np
import torch

from guidance_study.jobs import Job
from guidance_study.models import batches, load_velocity, set_up
from guidance_study.processes.rectified_flow import solve
from guidance_study.progress import track


def make(job: Job) -> None:
    """Files: samples.npy (n, *shape) float32, in the order of the generations. The manifest holds each block's NFE."""
    device, solver = set_up(), job.params["solver"]
    source = job.inputs["samples"].path
    start = np.load(source / "samples.npy", mmap_mode="r")
    labels = np.load(source / "labels.npy")
    velocity = load_velocity(job.inputs["postprocessor"])
    ranges = list(batches(len(start), solver["block"]))
    out = np.empty(start.shape, dtype=np.float32)
    nfe = []
    with torch.no_grad():
        for first, last in track(ranges, len(ranges), "Dopri5 blocks"):
            block = torch.from_numpy(np.array(start[first:last])).to(device)
            label = torch.from_numpy(labels[first:last]).to(device)
            solution = solve(velocity, block, label, solver["rtol"], solver["atol"], first)
            out[first:last] = solution.end.cpu().numpy()
            nfe.append(solution.nfe)
    np.save(job.out / "samples.npy", out)
    job.facts["nfe"] = nfe
