"""Predictor-corrector guidance (Bradley & Nakkiran 2024, Classifier-free guidance is a predictor-corrector)."""

from typing import ClassVar, Literal

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class PredictorCorrectorGuidance(Guidance):
    """Predictions by the conditional model, corrections towards the powered distribution p(x)^(1 - g) p(x|c)^g.

    With g = 2 s - 1 and as many steps as you like it is what classifier-free guidance of scale s does with DDPM's own
    sampler; at s = 1 both predict and correct by the conditional model.
    """

    kind: Literal["predictor_corrector"]
    short: ClassVar[str] = "pcg"
    title: ClassVar[str] = "predictor-corrector"
    conditional: ClassVar[bool] = True
    samplers: ClassVar = ("predictor_corrector",)

    def start(self, batch: Batch) -> Guided:
        """Their Alg. 2."""
        if batch.scale == 1:
            return batch.model

        def guided(x, t, label, step):
            if step.evaluation == 0:
                return batch.model(x, t, label)
            return batch.model.mixed(x, t, label, 2 * batch.scale - 1)

        return guided
