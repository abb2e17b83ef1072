"""The classifier of images."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import PositiveInt
from guidance_study.networks import ClassifierNetwork

if TYPE_CHECKING:
    from torch import nn


class CNN(ClassifierNetwork):
    """Small convolutional network for images (our guess; the paper only says 'almost perfect')."""

    kind: Literal["cnn"]
    channels: PositiveInt = Field(32, description="channels of the first convolution (our guess)")
    features: PositiveInt = Field(64, description="units of the penultimate layer (our guess)")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout probability (our guess)")

    def check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise ValueError("a CNN needs images")

    def build(self, shape: tuple[int, ...], classes: int, noisy: bool) -> "nn.Module":
        from guidance_study.networks.modules.classifiers import CNNClassifier

        return CNNClassifier(shape, classes, noisy, **self.options())

    def operations(self, shape: tuple[int, ...], classes: int) -> float:
        _, height, width = shape
        return 2.0 * 9 * 4 * self.channels**2 * height * width
