"""Stage `cost`: seconds an image, evaluations and peak memory of sampling and of postprocessing (paper, Sec. D.2).

The one artefact whose content is a measurement of the machine: two runs differ.
"""

import json
import time
from collections.abc import Callable

import torch

from guidance_study.config import seams
from guidance_study.execution.job import Job
from guidance_study.execution.jobs import forget_peak, peak_memory
from guidance_study.networks.models import load_classifier, load_flow, set_up
from guidance_study.processes.rectified_flow import solve, velocity
from guidance_study.stages.samples import generate, load_denoiser
from guidance_study.support.progress import log


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
    source = job.inputs["denoiser"]
    denoiser, process = load_denoiser(source)
    classifier = load_classifier(job.inputs["classifier"]) if "classifier" in job.inputs else None
    guidance, shape = seams.parse("guidance", params["guidance"]), tuple(source.params["shape"])
    told = {"null": source.params["rows"] - 1, "scale": params["scale"], "classifier": classifier, "device": device}
    rows, starts = [], {}

    for batch in params["batches"]:
        log(f"base, batch {batch}")
        drawn = params | {"purpose": "cost"}
        sample = lambda n=batch, p=drawn: generate(denoiser, process, guidance, p, shape, 0, n, **told)  # noqa: E731
        starts[batch], cost = measured(sample, device)
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
