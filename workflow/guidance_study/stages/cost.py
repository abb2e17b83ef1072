"""Stage `cost`: seconds an image, evaluations and peak memory of sampling and of postprocessing (paper, Sec. D.2).

The one artefact whose content is a measurement of the machine: two runs differ.
"""

import json
import time
from collections.abc import Callable
from functools import partial

import torch

from guidance_study.execution.job import Job
from guidance_study.execution.memory import forget_peak, peak_memory
from guidance_study.networks.models import load_flow, set_up
from guidance_study.processes.rectified_flow import velocity
from guidance_study.processes.samplers.dopri5 import solve
from guidance_study.stages.samples import Generator
from guidance_study.support.progress import log
from guidance_study.support.randomness import Draws


def measured(work: Callable[[], tuple[torch.Tensor, int]], device: torch.device) -> tuple[torch.Tensor, dict]:
    """What `work` returns, and {seconds, nfe, peak_mib} of its second call; the first one warms up."""
    work()
    forget_peak()
    _wait(device)
    began = time.perf_counter()
    result, nfe = work()
    _wait(device)
    return result, {"seconds": time.perf_counter() - began, "nfe": nfe, "peak_mib": _peak(device)}


def make(job: Job) -> None:
    """File: cost.json, {"rows": [{what, batch, seconds, nfe, peak_mib}], "device", "loaded_mib"}.

    `what` is base or postprocessing; peak_mib is of the whole process, on a GPU of its tensors; loaded_mib is what the
    postprocessing network alone adds.
    """
    params, device = job.params, set_up()
    generator, rows, starts = Generator.of(job), [], {}

    for batch in params["batches"]:
        log(f"base, batch {batch}")
        draws = Draws(params["seed"], "cost", 0, batch)
        starts[batch], cost = measured(partial(generator.generate, draws, params["scale"], device), device)
        rows.append({"what": "base", "batch": batch, **cost})
    before = _peak(device, now=True)
    flow, solver = velocity(*load_flow(job.inputs["postprocessor"])), params["solver"]
    loaded = _peak(device, now=True) - before
    for batch, start in starts.items():
        log(f"postprocessing, batch {batch}")
        label = torch.arange(batch, device=device) % params["classes"]

        def post(start=start, label=label) -> tuple[torch.Tensor, int]:
            with torch.no_grad():
                solution = solve(flow, start, label, solver["rtol"], solver["atol"])
            return solution.end, solution.nfe

        rows.append({"what": "postprocessing", "batch": batch, **measured(post, device)[1]})
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    result = {"rows": rows, "device": name, "loaded_mib": loaded}
    (job.out / "cost.json").write_text(json.dumps(result, indent=1) + "\n")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _peak(device: torch.device, now: bool = False) -> float:
    """Peak memory since `forget_peak`, MiB; with `now` what is in use at this moment."""
    if now:
        forget_peak()
    memory = peak_memory()
    return memory["peak_device_memory_mib"] if device.type == "cuda" else memory["peak_memory_mib"]
