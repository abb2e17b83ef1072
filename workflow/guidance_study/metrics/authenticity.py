"""Are samples new, or do they lie closer to training samples than those to one another?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, ImageMetric
from guidance_study.metrics.manifold import radius

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Seen


class Authenticity(ImageMetric):
    """The share of generations that are no likely copies of training images, in every space."""

    kind: Literal["authenticity"]
    references = ("train",)
    columns = (Column("authenticity", "authenticity"),)
    meaning = (
        "Authenticity: the share of images farther from the nearest training image than that is from its own nearest;"
        " of fresh real images about a half."
    )

    def compare(self, features: np.ndarray, seen: Seen, part: str) -> float:
        """Against the training images."""
        return authenticity(features, seen.real[part])


def authenticity(fake: np.ndarray, real: np.ndarray) -> float:
    """The share, 0 to 1, of fakes (M, D) farther from their nearest real row (N, D) than this is from its own nearest.

    Alaa et al., How Faithful is your Synthetic Data? (2022), Sec. 3.3. ValueError: no fakes; otherwise as `search`.
    """
    from guidance_study.neighbours.search import search

    if not len(fake):
        raise ValueError("There are no fake rows to take a share of.")
    found = search(fake, real, 1)
    return float((found.distance[:, 0] > radius(real, 1)[found.index[:, 0]]).mean())
