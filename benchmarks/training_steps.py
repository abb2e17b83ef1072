"""Ratios within one run: an MLP step against a UNet step, and denormals kept against flushed. Prints JSON.

python benchmarks/training_steps.py
"""

import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from guidance_study.execution import jobs

jobs.prepare_process(1)

import torch  # noqa: E402 - after the thread counts are fixed
from guidance_study.config.loading import load  # noqa: E402

TOP = Path(__file__).resolve().parents[1]


def stepper(name: str):
    """One training step of a network of config.yaml on digits-shaped data, as a function."""
    network = load([TOP / "config.yaml"]).networks[name].build((1, 8, 8), 11)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    x, time_, label = torch.randn(128, 1, 8, 8), torch.rand(128) * 1000, torch.arange(128) % 11

    def step() -> None:
        network(x, time_, label).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def seconds(function, runs: int) -> float:
    """Median seconds of a call, after a few to warm up."""
    for _ in range(3):
        function()
    taken = []
    for _ in range(runs):
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def flushing(runs: int = 300) -> tuple[float, float]:
    """Median seconds of an MLP step with denormals kept and flushed, in alternation.

    The loss of `stepper` drives the output to zero, so the gradients pass through the denormal numbers.
    """
    taken = {False: [], True: []}
    steps = {flush: stepper("mlp_flow") for flush in taken}
    for _ in range(runs):
        for flush, step in steps.items():
            torch.set_flush_denormal(flush)
            began = time.perf_counter()
            step()
            taken[flush].append(time.perf_counter() - began)
    return statistics.median(taken[False]), statistics.median(taken[True])


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kept, flushed = flushing()
    torch.set_flush_denormal(True)
    mlp, unet = seconds(stepper("mlp"), 100), seconds(stepper("unet"), 10)
    result = {
        "mlp_step_ms": 1e3 * mlp,
        "unet_step_ms": 1e3 * unet,
        "unet_over_mlp": unet / mlp,
        "denormals_kept_over_flushed": kept / flushed,
    }
    print(json.dumps({name: round(value, 3) for name, value in result.items()}, indent=1))


if __name__ == "__main__":
    main()
