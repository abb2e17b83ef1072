"""Classifier guidance (paper, Eq. 7; Dhariwal & Nichol 2021)."""

from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Name
from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided


class ClassifierGuidance(Guidance):
    """A model, usually an unconditional one, and a classifier of noisy samples."""

    kind: Literal["classifier"]
    classifier: Name | None = Field(None, description="name in `classifiers`; must be a noisy one")
    base: Literal["unconditional", "conditional"] = Field(
        "unconditional",
        description="the model that is guided (paper), or, as guided-diffusion's released ones are, one that is given"
        " the class too: their weight w of the gradient is the scale 1 + w",
    )
    gradient_factor: float = Field(1.0, gt=0, description="factor on grad log p(c | x_t) (our guess: 1)")
    short: ClassVar[str] = "cg"
    title: ClassVar[str] = "classifier"
    class_free: ClassVar[bool] = False
    roles: ClassVar = {"classifier": "classifiers"}

    @property
    def conditional(self) -> bool:  # type: ignore[override]  # of other rules the class alone tells it
        """Whether the model is given the class."""
        return self.base == "conditional"

    def start(self, batch: Batch) -> Guided:
        """Eq. (7): eps_hat = eps(x_t, t) - s sqrt(1 - abar_t) grad_{x_t} log p(c | x_t).

        Of a conditional base, eps(x_t, t, c) - (s - 1) sqrt(1 - abar_t) grad_{x_t} log p(c | x_t), so that 1 is
        unguided (Dhariwal & Nichol 2021, Algorithm 2, with weight s - 1).
        """
        import torch

        process, classifier = batch.process, batch.classifiers["classifier"]
        weight = (batch.scale - 1 if self.conditional else batch.scale) * self.gradient_factor
        if self.conditional and weight == 0:
            return batch.model

        def guided(x, t, label, step):
            with torch.enable_grad():
                point = x.detach().requires_grad_()
                log_p = torch.log_softmax(classifier(point, process.time(t)), dim=1)
                chosen = log_p.gather(1, label[:, None]).sum()
                (gradient,) = torch.autograd.grad(chosen, point)
            noise_level = process.sqrt_one_minus_abar(t, x)
            return batch.model(x, t, label if self.conditional else None) - weight * noise_level * gradient

        return guided
