"""The deliberately weak classifier."""

from math import prod
from typing import TYPE_CHECKING, Literal

from guidance_study.networks import ClassifierNetwork

if TYPE_CHECKING:
    from torch import nn


class Linear(ClassifierNetwork):
    """One linear layer on the flattened noisy image and the diffusion step (paper, Sec. D.3.1 and D.5.2)."""

    kind: Literal["linear"]

    def build(self, shape: tuple[int, ...], classes: int, noisy: bool) -> "nn.Module":
        from guidance_study.networks.modules.classifiers import LinearClassifier

        return LinearClassifier(shape, classes, noisy)

    def operations(self, shape: tuple[int, ...], classes: int) -> float:
        return 2.0 * prod(shape) * classes
