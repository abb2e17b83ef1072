"""Power-law classifier-free guidance (Pavasovic et al. 2025, From high-dimensional analysis to generalized forms)."""

from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class PowerLaw(Guidance):
    """Classifier-free guidance whose weight grows with the gap of the two branches; at power 0 it is that itself."""

    kind: Literal["power_law"]
    power: float = Field(
        0.9,
        gt=-1,
        le=4,
        description="alpha: of the gap's size, above -1; above 0 small gaps count less (our guess)",
    )
    short: ClassVar[str] = "power"
    title: ClassVar[str] = "power-law classifier-free"
    conditional: ClassVar[bool] = True

    def start(self, batch: Batch) -> Guided:
        """Their power law, m(x, c) + (s - 1) |g|^alpha g, g the gap of the branches; |g| its root mean square, so that
        the same weight means the same whatever the number of pixels (ours).
        """
        if batch.scale == 1:
            return batch.model

        def guided(x, t, label, step):
            conditional, free = batch.model.both(x, t, label)
            gap = conditional - free
            size = gap.flatten(1).square().mean(1).sqrt().reshape(-1, *[1] * (x.ndim - 1)).clamp_min(1e-12)
            return conditional + (batch.scale - 1) * size**self.power * gap

        return guided
