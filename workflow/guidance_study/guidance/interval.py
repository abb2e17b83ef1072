"""Guidance in an interval of noise levels alone (Kynkäänniemi et al. 2024, Applying guidance in a limited interval)."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import PositiveFloat
from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class Interval(Guidance):
    """Classifier-free guidance where sigma lies in (low, high], the conditional model elsewhere.

    Left out, low is the data and high the noise itself, both of them within.
    """

    kind: Literal["interval"]
    low: PositiveFloat | None = Field(None, description="noise level above which is guided; null: all (our guess)")
    high: PositiveFloat | None = Field(None, description="noise level up to which is guided; null: all (our guess)")
    short: ClassVar[str] = "interval"
    title: ClassVar[str] = "interval"
    conditional: ClassVar[bool] = True

    @model_validator(mode="after")
    def _rises(self):
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low has the value {self.low:g}: it must be below high, {self.high:g}")
        return self

    def holds(self, sigma: float) -> bool:
        """Whether a noise level, from 0 of data to infinity of noise, is guided at."""
        return (self.low is None or sigma > self.low) and (self.high is None or sigma <= self.high)

    def start(self, batch: Batch) -> Guided:
        """Their Eq. (5): s where sigma_low < sigma <= sigma_high, 1 elsewhere; over all levels it is Eq. (8)."""
        if batch.scale == 1:
            return batch.model

        def guided(x, t, label, step):
            if not self.holds(step.sigma):
                return batch.model(x, t, label)
            return batch.model.mixed(x, t, label, batch.scale)

        return guided
