"""Classifier-free guidance (paper, Eq. 8; Ho & Salimans 2022)."""

from typing import ClassVar, Literal

from guidance_study.guidance import Guidance


class ClassifierFree(Guidance):
    """One class-dropped conditional model; its extra class row, the last one, means 'no class'."""

    kind: Literal["classifier_free"]
    short: ClassVar[str] = "cfg"
    title: ClassVar[str] = "classifier-free"
    conditional: ClassVar[bool] = True  # which base model the rule needs

    def wrap(self, eps, scale: float, *, null: int, **_):
        """Eq. (8): eps_hat = eps(x_t, t) + s (eps(x_t, t, c) - eps(x_t, t)); both branches in one call.

        At s = 1 this is the conditional model itself, bit for bit. `null` is the row of "no class".
        """
        import torch

        if scale == 1:
            return eps

        def guided(x, t, label):
            both = torch.cat([label, torch.full_like(label, null)])
            conditional, unconditional = eps(torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
            return unconditional + scale * (conditional - unconditional)

        return guided
