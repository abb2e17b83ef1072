"""Guidance rules: one file each. A rule wraps a denoiser eps(x, t, label) into another of the same signature.

One convention for the scale s everywhere: s = 1 is unguided (the conditional model, or its Bayes decomposition).
"""

from abc import abstractmethod
from typing import ClassVar

from guidance_study.config.seams import Kind


class Guidance(Kind):
    """A guidance rule: the `guidance` of an experiment or of a run of paths."""

    short: ClassVar[str]  # in addresses
    title: ClassVar[str]  # in tables and figures: "... guidance"
    conditional: ClassVar[bool]  # whether it needs a conditional (class-dropped) base model or an unconditional one

    @abstractmethod
    def wrap(self, eps, scale: float, **parts):
        """The guided eps(x, t, label). Parts: `null`, the label of "no class"; `classifier`, noisy, or None; `process`,
        the noise schedule.
        """
