"""Classifier guidance (paper, Eq. 7; Dhariwal & Nichol 2021)."""

from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Name
from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class ClassifierGuidance(Guidance):
    """An unconditional model and a classifier of noisy samples."""

    kind: Literal["classifier"]
    classifier: Name | None = Field(None, description="name in `classifiers`; must be a noisy one")
    gradient_factor: float = Field(1.0, gt=0, description="factor on grad log p(c | x_t) (our guess: 1)")
    short: ClassVar[str] = "cg"
    title: ClassVar[str] = "classifier"
    conditional: ClassVar[bool] = False
    roles: ClassVar = {"classifier": "classifiers"}

    def start(self, batch: Batch) -> Guided:
        """Eq. (7): eps_hat = eps(x_t, t) - s sqrt(1 - abar_t) grad_{x_t} log p(c | x_t)."""
        import torch

        process, classifier = batch.process, batch.classifiers["classifier"]

        def guided(x, t, label, step):
            with torch.enable_grad():
                point = x.detach().requires_grad_()
                log_p = torch.log_softmax(classifier(point, process.time(t)), dim=1)
                chosen = log_p.gather(1, label[:, None]).sum()
                (gradient,) = torch.autograd.grad(chosen, point)
            noise_level = process.sqrt_one_minus_abar(t, x)
            return batch.model(x, t, None) - batch.scale * self.gradient_factor * noise_level * gradient

        return guided
