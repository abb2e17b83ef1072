"""Penultimate features of a clean classifier (paper, Fig. 8: 'classifier')."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from guidance_study.config.base import Name
from guidance_study.embeddings import Embedding

if TYPE_CHECKING:
    import numpy as np


class ClassifierFeatures(Embedding):
    """Features from a classifier of its own: never the one that evaluates."""

    kind: Literal["classifier_features"]
    classifier: Name | None = Field(None, description="name in `classifiers`; must be clean and not an evaluator")

    def embed(self, samples: "np.ndarray", network: Any) -> "np.ndarray":
        """Features (N, F) float32 of `network`, a classifier as `models.load_classifier` gives it."""
        from guidance_study.networks.models import features

        return features(network, samples)
