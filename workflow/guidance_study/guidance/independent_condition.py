"""Independent condition guidance (Sadat et al. 2024, No training, no problem)."""

from typing import ClassVar, Literal

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class IndependentCondition(Guidance):
    """Away from the conditional model of a class drawn anew at every evaluation: no model without classes is needed."""

    kind: Literal["independent_condition"]
    short: ClassVar[str] = "icg"
    title: ClassVar[str] = "independent condition"
    conditional: ClassVar[bool] = True
    class_free: ClassVar[bool] = False
    fixed_steps: ClassVar[bool] = True  # no solver can follow a field of which every evaluation draws another

    def start(self, batch: Batch) -> Guided:
        """Their Eq. (4): m(x, c') + s (m(x, c) - m(x, c')), c' uniform over the classes, the own among them."""
        if batch.scale == 1:
            return batch.model

        def guided(x, t, label, step):
            drawn = batch.draws.uniform(f"independent_condition/{step.index}/{step.evaluation}")
            other = (drawn * batch.classes).long().clamp_max(batch.classes - 1).to(label)
            return batch.model.mixed(x, t, label, batch.scale, other)

        return guided
