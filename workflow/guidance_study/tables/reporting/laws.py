"""The variance of guided Gaussians: as the samplers make it, and as it is known to be.

The class c ~ N(0, 1) and x given c ~ N(c, 1), at c = 0: conditional N(0, 1), unconditional N(0, 2) (Bradley & Nakkiran
2024, Classifier-free guidance is a predictor-corrector). With sigma^2 = (1 - abar) / abar, the flow of N(0, v) without
fresh noise keeps x^2 / (abar (v + sigma^2)), and so a guided one x^2 / (abar (1 + sigma^2)^s (2 + sigma^2)^(1 - s)).
"""

from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import torch

from guidance_study.config import seams
from guidance_study.guidance import BASE, Batch, Guidance, Model
from guidance_study.processes.ddpm import DDPM
from guidance_study.support.randomness import Draws

if TYPE_CHECKING:
    from guidance_study.tables.laws import LawsTable

CONDITIONAL, UNCONDITIONAL = 1.0, 2.0  # variances
NULL = 1  # the label that means no class
FRESH = [("classifier_free", "ancestral"), ("predictor_corrector", "predictor_corrector")]  # of one law


class Impulses:
    """In the place of draws: one sample a step, whose noise is 1 in that step and 0 in all others."""

    def __init__(self, steps: int):
        self.n, self.asked = steps + 1, 0  # the first sample starts at 1, and gets no noise; one draw a step at most

    def normal(self, what: str, shape: tuple[int, ...]) -> torch.Tensor:
        """(N, *shape) float64."""
        self.asked += 1
        noise = torch.zeros(self.n, *shape, dtype=torch.float64)
        noise[self.asked] = 1
        return noise


def measured(table: "LawsTable", process: dict[str, Any]) -> pd.DataFrame:
    """A row for each rule, sampler and scale for which there is a law."""
    ddpm = cast(DDPM, seams.parse("processes", process))
    rows = []
    for rule in table.guidance:
        for sampler in table.samplers:
            for scale in table.scales if law(rule, sampler.kind, 1.0) else []:
                half, full = (
                    variance(rule, sampler.model_copy(update={"steps": steps}), scale, ddpm)
                    for steps in (sampler.steps // 2, sampler.steps)
                )
                known, limit = cast(float, law(rule, sampler.kind, scale)), 2 * full - half
                rows.append(
                    {
                        "rule": rule.kind,
                        "sampler": sampler.kind,
                        "scale": scale,
                        "law": known,
                        "limit": limit,
                        "error": limit / known - 1,
                        "met": abs(limit / known - 1) < table.tolerance,
                        "full": full,
                        "half": half,
                        "powered": 2 / (scale + 1),
                    }
                )
    return pd.DataFrame(rows)


def law(rule: Guidance, sampler: str, scale: float) -> float | None:
    """The variance: 2^(1 - s) without fresh noise, (2 - 2^(2 - 2 s)) / (2 s - 1) with it (Bradley & Nakkiran 2024).

    Of guidance between two noise levels, the ratio of the two flows between them; None: no law is known.
    """
    if (rule.kind, sampler) in FRESH:
        return (2 - 2 ** (2 - 2 * scale)) / (2 * scale - 1)
    if "predictor_corrector" in (rule.kind, sampler) or sampler == "ancestral":
        return None
    low, high = (getattr(rule, "low", None) or 0.0, getattr(rule, "high", None) or float("inf"))
    below, above = (1 / (1 + 1 / (1 + edge**2)) for edge in (low, high))  # (1 + sigma^2) / (2 + sigma^2)
    return float((below / above) ** (scale - 1))


def variance(rule: Guidance, sampler: Any, scale: float, ddpm: DDPM) -> float:
    """Of data from x ~ N(0, 1): the squares of what the first noise and each fresh one amount to at the end."""

    def eps(x, t, label):
        abar, of = ddpm.abar[t][:, None], torch.where(label == NULL, UNCONDITIONAL, CONDITIONAL)[:, None]
        return (1 - abar).sqrt() * x / (abar * of + 1 - abar)

    draws = Impulses(sampler.steps)
    guide = Model(lambda x, t, label: eps(x, t, torch.full_like(label, NULL)), None)  # as bad as knowing no class
    guided = rule.start(Batch(scale, ddpm, {BASE: Model(eps, NULL), "guide": guide}, cast(Draws, draws), NULL))
    x = torch.zeros(draws.n, 1, dtype=torch.float64)
    x[0] = 1
    ends = sampler.sample(ddpm, guided, x, torch.zeros(draws.n, dtype=torch.int64), draws)
    return float(ends.square().sum())


def lines(rows: pd.DataFrame) -> list[dict]:
    """The table to read."""
    return [
        {
            "Rule": row.rule.replace("_", "-"),
            "Sampler": row.sampler.replace("_", "-"),
            "Scale": f"{row.scale:g}",
            "Variance by theory": f"{row.law:.4f}",
            "extrapolated": f"{row.limit:.4f}",
            "off by": f"{100 * row.error:+.2f} %",
            "met": "yes" if row.met else "no",
            "all steps": f"{row.full:.4f}",
            "half of them": f"{row.half:.4f}",
            "powered distribution": f"{row.powered:.4f}",
        }
        for row in rows.itertuples()
    ]


def notes(table: "LawsTable") -> list[str]:
    """What the numbers are."""
    return [
        "Conditional N(0, 1), unconditional N(0, 2), exact scores; the variance of x_0 follows from the samplers' own"
        f" steps ({', '.join(str(sampler.steps) for sampler in table.samplers)}, and half as many), extrapolated as"
        f" errors in proportion to the step, without drawing a sample. Met: within {100 * table.tolerance:g} %.",
        "Theory of classifier-free guidance: Bradley & Nakkiran (2024), 2^(1 - s) without fresh noise and"
        " (2 - 2^(2 - 2s)) / (2s - 1) with it; neither is that of the powered distribution p(x)^(1 - s) p(x|c)^s,"
        " 2 / (s + 1), which guidance is often taken to sample. Predictor-corrector guidance is theirs too: the same"
        " limit as classifier-free guidance with fresh noise.",
        "Autoguidance: away from N(0, 2) as the worse model. Interval: between two noise levels, as the flows between"
        " them are. With fresh noise no law of these two is known to us.",
    ]
