"""CFG++ (Chung et al. 2024, Manifold-constrained classifier-free guidance)."""

from typing import ClassVar, Literal

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided, Sampler


class CFGPlusPlus(Guidance):
    """x_0 from the guided eps, the noise that is put back from the unconditional one; the scale is their lambda.

    At 0 it is the unconditional model, and nowhere the conditional one. It is of DDIM's update alone.
    """

    kind: Literal["cfg_plus_plus"]
    short: ClassVar[str] = "cfgpp"
    title: ClassVar[str] = "CFG++"
    conditional: ClassVar[bool] = True
    unguided_at_1: ClassVar[bool] = False
    largest: ClassVar[float] = 1.0
    samplers: ClassVar = ("ddim",)

    def unfit(self, sampler: Sampler) -> tuple[str, str] | None:
        """It is for DDIM, and what is clipped after guidance is the x_0 of the one eps below, not that of Alg. 2."""
        clipped = getattr(sampler, "clip_x0", None) == "after_guidance"
        return super().unfit(sampler) or (("clip_x0", "'none' or 'before_guidance'") if clipped else None)

    def start(self, batch: Batch) -> Guided:
        """Their Alg. 2: x' = a' x_0(e_u + s (e_c - e_u)) + b' e_u, as the one eps with which DDIM's update is that.

        DDIM is linear in eps: x' / a' = x / a + (sigma' - sigma) e.
        """

        def guided(x, t, label, step):
            conditional, free = batch.model.both(x, t, label)
            mixed = free + batch.scale * (conditional - free)
            return (step.next_sigma * free - step.sigma * mixed) / (step.next_sigma - step.sigma)

        return guided
