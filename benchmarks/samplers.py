"""What samplers do to Gaussians with the exact score, guided and not, beside DDIM of 1000 steps from the same noises.

Prints a Markdown table: for each sampler, grid and number of steps, variance over the 1000-step one's and, in its
standard deviations, how far the ends are from those of the same noise, on average. One class N(separation, variance) of
two; guidance is classifier-free with exact parts. Results, not speed: the same on every machine to rounding.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from guidance_study.config import seams
from guidance_study.guidance import BASE, Batch, Model
from guidance_study.metrics.oracle import Oracle
from guidance_study.support.randomness import Draws

N = 2000
CASES = [(1.0, 1.0, 1), (0.05, 0.5, 1), (0.01, 0.5, 1), (0.05, 0.5, 2), (0.05, 0.5, 5), (0.05, 0.5, 10)]
SAMPLERS = [(kind, grid, n) for kind in ("ddim", "dpm_solver") for grid in ("uniform", "log_snr") for n in (20, 32, 50)]
PROCESS = seams.parse("processes", {"kind": "ddpm"})


def ends(kind: str, grid: str, steps: int, case: tuple[float, float, int]) -> torch.Tensor:
    """Samples (N,) of class 0 at a guidance scale."""
    variance, separation, scale = case
    spec = {"kind": "gaussians", "separation": separation, "variance": variance}
    oracle = Oracle(seams.parse("datasets", spec).mixture())
    model = Model(oracle.denoiser(PROCESS, null=oracle.classes), oracle.classes)
    sampler = seams.parse("processes.samplers", {"kind": kind, "grid": grid, "steps": steps})
    draws, label = Draws(0, "benchmark", 0, N), torch.zeros(N, dtype=torch.int64)
    batch = Batch(float(scale), PROCESS, {BASE: model}, draws, oracle.classes)
    guided = seams.parse("guidance", {"kind": "classifier_free"}).start(batch)
    with torch.no_grad():
        return sampler.sample(PROCESS, guided, draws.normal("x_T", (1,)).double(), label, draws)[:, 0]


def main() -> None:
    limits = [ends("ddim", "uniform", 1000, case) for case in CASES]
    heads = [f"variance {v:g}, scale {s}" for v, _, s in CASES]
    print("| sampler | steps | " + " | ".join(heads) + " |\n| --- | ---: |" + " ---: |" * len(CASES))
    for kind, grid, steps in SAMPLERS:
        cells = []
        for case, limit in zip(CASES, limits, strict=True):
            found = ends(kind, grid, steps, case)
            off = float((found - limit).abs().mean() / limit.std())
            cells.append(f"{float(found.var() / limit.var()):.2f}, {off:.2f}")
        print(f"| {kind}, {grid} | {steps} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
