"""The samples themselves as features (paper, Tab. S1: 'Pixel')."""

from math import prod
from typing import Literal

from guidance_study.embeddings import Embedding


class Pixels(Embedding):
    """Euclidean distance between flattened samples."""

    kind: Literal["pixels"]

    def numbers(self, shape: tuple[int, ...]) -> int:
        return prod(shape)

    def embed(self, samples, network=None):
        """Features (N, D) float32: the samples, flattened; a view where memory allows."""
        return samples.reshape(len(samples), -1)
