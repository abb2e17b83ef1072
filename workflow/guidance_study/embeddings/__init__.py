"""Embeddings: one file each. images (N, *shape) float32 in [-1, 1] -> features (N, D) float32."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from guidance_study.config.seams import Kind

if TYPE_CHECKING:
    import numpy as np


class Embedding(Kind):
    """A neighbour space: an entry of `embeddings:`."""

    # Whether features are worth a stage of their own that keeps them. So it is with pretrained networks, which need
    # a field `weights: Weights` and `network()` besides.
    stored: ClassVar[bool] = False

    @abstractmethod
    def embed(self, samples: "np.ndarray", network: Any) -> "np.ndarray":
        """Features (N, D) float32 of one batch. network: what `network()` gives, or the classifier that it names."""

    def network(self) -> Any:
        """The pretrained network of a stored space, loaded."""
        raise NotImplementedError

    def numbers(self, shape: tuple[int, ...]) -> int:
        """About how many numbers the features of one sample of this shape are: Inception's, unless a kind says else."""
        return 2048

    @classmethod
    def lacking(cls) -> list[str]:
        """A stored space also has weights and a network."""
        weights = [] if "weights" in cls.model_fields else ["weights: Weights"]
        network = [] if cls.network is not Embedding.network else ["network()"]
        return super().lacking() + (weights + network if cls.stored else [])
