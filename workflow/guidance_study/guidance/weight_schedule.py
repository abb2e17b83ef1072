"""Classifier-free guidance whose weight changes on the way (Wang et al. 2024, Analysis of classifier-free guidance
weight schedulers)."""

import math
from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided, Step


class WeightSchedule(Guidance):
    """The weight s - 1 beyond the conditional model grows from 0 at noise to its double at the data, or falls so."""

    kind: Literal["weight_schedule"]
    shape: Literal["constant", "linear", "cosine", "falling"] = Field(
        "linear",
        description="of the weight over steps, whose mean is s - 1 (theirs, and one that falls: our guess)",
    )
    short: ClassVar[str] = "schedule"
    title: ClassVar[str] = "scheduled classifier-free"
    conditional: ClassVar[bool] = True

    @property
    def fixed_steps(self) -> bool:  # type: ignore[override]  # of other rules the class alone tells it
        """What changes on the way must know how long that is."""
        return self.shape != "constant"

    def factor(self, step: Step) -> float:
        """What s - 1 is multiplied with at a step: 1 on average."""
        if self.shape == "constant":
            return 1.0
        assert step.count is not None  # steps are fixed
        done = (step.index + 0.5) / step.count
        shapes = {"linear": 2 * done, "falling": 2 * (1 - done), "cosine": 1 - math.cos(math.pi * done)}
        return shapes[self.shape]

    def start(self, batch: Batch) -> Guided:
        """Eq. (8) at the scale 1 + f (s - 1), f the factor of the step."""
        if batch.scale == 1:
            return batch.model

        def guided(x, t, label, step):
            return batch.model.mixed(x, t, label, 1 + self.factor(step) * (batch.scale - 1))

        return guided
