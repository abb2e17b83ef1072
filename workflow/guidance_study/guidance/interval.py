"""Guidance in an interval of noise levels alone (Kynkäänniemi et al. 2024, Applying guidance in a limited interval)."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import PositiveFloat
from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class Interval(Guidance):
    """Classifier-free guidance where sigma lies in (low, high], the conditional model elsewhere."""

    kind: Literal["interval"]
    low: float = Field(0.0, ge=0, description="noise level above which is guided; 0: down to the data (our guess)")
    high: PositiveFloat = Field(1e12, description="noise level up to which is guided (our guess: all)")
    short: ClassVar[str] = "interval"
    title: ClassVar[str] = "interval"
    conditional: ClassVar[bool] = True

    @model_validator(mode="after")
    def _rises(self):
        if self.low >= self.high:
            raise ValueError(f"low has the value {self.low:g}: it must be below high, {self.high:g}")
        return self

    def start(self, batch: Batch) -> Guided:
        """Their Eq. (5): s where sigma_low < sigma <= sigma_high, 1 elsewhere; over all levels it is Eq. (8)."""
        if batch.scale == 1:
            return batch.model

        def guided(x, t, label, step):
            if not self.low < step.sigma <= self.high:
                return batch.model(x, t, label)
            conditional, unconditional = batch.model.both(x, t, label)
            return unconditional + batch.scale * (conditional - unconditional)

        return guided
