"""The samples themselves as features (paper, Tab. S1: 'Pixel')."""

from math import prod
from typing import TYPE_CHECKING, Any, Literal

from guidance_study.embeddings import Embedding

if TYPE_CHECKING:
    import numpy as np


class Pixels(Embedding):
    """Euclidean distance between flattened samples."""

    kind: Literal["pixels"]

    def numbers(self, shape: tuple[int, ...]) -> int:
        return prod(shape)

    def embed(self, samples: "np.ndarray", network: Any = None) -> "np.ndarray":
        """Features (N, D) float32: the samples, flattened; a view where memory allows."""
        return samples.reshape(len(samples), -1)
