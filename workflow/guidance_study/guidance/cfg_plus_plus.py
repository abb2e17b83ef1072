"""CFG++ (Chung et al. 2024, Manifold-constrained classifier-free guidance)."""

from typing import ClassVar, Literal

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided
from guidance_study.support.errors import StudyError


class CFGPlusPlus(Guidance):
    """x_0 from the guided eps, the noise that is put back from the unconditional one; the scale is their lambda.

    At 0 it is the unconditional model, and nowhere the conditional one. It is of DDIM's update alone.
    """

    kind: Literal["cfg_plus_plus"]
    short: ClassVar[str] = "cfgpp"
    title: ClassVar[str] = "CFG++"
    conditional: ClassVar[bool] = True
    samplers: ClassVar = ("ddim",)

    def start(self, batch: Batch) -> Guided:
        """Their Alg. 2: x' = a' x_0(e_u + s (e_c - e_u)) + b' e_u, as the one eps with which DDIM's update is that.

        DDIM is linear in eps: x' / a' = x / a + (sigma' - sigma) e. StudyError: a solver that chooses its steps.
        """

        def guided(x, t, label, step):
            if step.next_sigma is None:
                raise StudyError("guidance 'cfg_plus_plus' needs a sampler of fixed steps")
            conditional, free = batch.model.both(x, t, label)
            mixed = free + batch.scale * (conditional - free)
            return (step.next_sigma * free - step.sigma * mixed) / (step.next_sigma - step.sigma)

        return guided
