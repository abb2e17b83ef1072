"""Guidance rules and samplers, started the way the stages start them."""

import torch
from guidance_study.config import seams
from guidance_study.guidance import BASE, Batch, Guidance, Model
from guidance_study.support.randomness import Draws

MEAN, VARIANCE = 0.7, 0.3


def process(kind: str = "ddpm", **options):
    return seams.parse("processes", {"kind": kind, **options})


def sampler(kind: str = "ddim", **options):
    return seams.parse("processes.samplers", {"kind": kind, **options})


def rule(kind: str = "classifier_free", **options) -> Guidance:
    return seams.parse("guidance", {"kind": kind, **options})


DDPM = process()
SPECS = {name: process(name) for name in ("ddpm", "edm", "rectified_flow")}
TAKEN = {  # the short sampler that a rule is tried with under each
    "ddpm": {"steps": 6},
    "edm": {"kind": "heun", "steps": 6},
    "rectified_flow": {"kind": "dopri5", "rtol": 1e-3, "atol": 1e-3},
}


def guided(rule: Guidance, eps, scale: float, *, null: int | None = None, n: int = 1, **parts):
    """The guided m(x, t, label, step) of a rule for n samples; the step may be left out where the rule ignores it."""
    models = {BASE: Model(eps, null)} | parts.pop("models", {})
    batch = Batch(scale, parts.pop("process", DDPM), models, Draws(0, "test", 0, n), null or 0, parts)
    model = rule.start(batch)
    return lambda x, t, label, step=None: model(x, t, label, step)


def sample(model, x: torch.Tensor, label=None, process=DDPM, **options) -> torch.Tensor:
    """Data from noise x by a model m(x, t, label, ...)."""
    return sampler(**options).sample(process, model, x, label, Draws(0, "test", 0, len(x)))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def exact_eps(process=DDPM, mean=MEAN, variance=VARIANCE):
    """eps(x, t) of data N(mean, variance): -sqrt(1 - abar) times the score of N(sqrt(abar) m, abar v + 1 - abar)."""

    def eps(x, t, label, *_):
        abar = process.abar[t].reshape(-1, *[1] * (x.ndim - 1)).to(x)
        return (1 - abar).sqrt() * (x - abar.sqrt() * mean) / (abar * variance + 1 - abar)

    return eps
