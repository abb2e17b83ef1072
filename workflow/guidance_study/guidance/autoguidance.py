"""Autoguidance (Karras et al. 2024, Guiding a diffusion model with a bad version of itself)."""

from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Name
from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class Autoguidance(Guidance):
    """A conditional model away from a worse one of its own kind: smaller, or trained for less long."""

    kind: Literal["autoguidance"]
    guide: Name = Field(description="name in `models`: the worse version, of the same data and process")
    short: ClassVar[str] = "auto"
    title: ClassVar[str] = "autoguidance"
    conditional: ClassVar[bool] = True
    class_free: ClassVar[bool] = False
    roles: ClassVar = {"guide": "models"}

    def start(self, batch: Batch) -> Guided:
        """Their Eq. (4) with w = s: m_1(x, c) from m_0, m_0 + s (m_1 - m_0); a model guided by itself is itself."""
        if batch.scale == 1:
            return batch.model
        worse = batch.models["guide"]

        def guided(x, t, label, step):
            mine, theirs = batch.model(x, t, label), worse(x, t, label)
            return mine + (batch.scale - 1) * (mine - theirs)

        return guided
