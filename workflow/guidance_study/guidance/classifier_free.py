"""Classifier-free guidance (paper, Eq. 8; Ho & Salimans 2022)."""

from typing import ClassVar, Literal

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class ClassifierFree(Guidance):
    """One class-dropped conditional model; its extra class row, the last one, means 'no class'."""

    kind: Literal["classifier_free"]
    short: ClassVar[str] = "cfg"
    title: ClassVar[str] = "classifier-free"
    conditional: ClassVar[bool] = True

    def start(self, batch: Batch) -> Guided:
        """Eq. (8): eps_hat = eps(x_t, t) + s (eps(x_t, t, c) - eps(x_t, t)); both branches in one call.

        At s = 1 this is the conditional model itself, bit for bit.
        """
        if batch.scale == 1:
            return batch.model

        def guided(x, t, label, step):
            return batch.model.mixed(x, t, label, batch.scale)

        return guided
