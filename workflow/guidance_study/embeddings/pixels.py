"""The samples themselves as features (paper, Tab. S1: 'Pixel')."""

from typing import ClassVar, Literal

from guidance_study.config.base import Spec


class Pixels(Spec):
    """Euclidean distance between flattened samples."""

    stored: ClassVar[bool] = False
    kind: Literal["pixels"]

    def embed(self, samples, network=None):
        """Features (N, D) float32: the samples, flattened; a view where memory allows."""
        return samples.reshape(len(samples), -1)
