"""The nonlinear classifier of points."""

from math import prod
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Depth, PositiveInt
from guidance_study.networks import ClassifierNetwork

if TYPE_CHECKING:
    from torch import nn


class MLP(ClassifierNetwork):
    """Multilayer perceptron; with time embedding when it sees noisy data (paper, Sec. D.3.1; sizes our guess)."""

    kind: Literal["mlp"]
    width: PositiveInt = Field(128, description="units of a hidden layer, and of the features (our guess)")
    layers: Depth = Field(2, description="hidden layers (our guess)")

    def build(self, shape: tuple[int, ...], classes: int, noisy: bool) -> "nn.Module":
        from guidance_study.networks.modules.classifiers import MLPClassifier

        return MLPClassifier(shape, classes, noisy, **self.options())

    def operations(self, shape: tuple[int, ...], classes: int) -> float:
        return 2.0 * self.width * (self.layers * self.width + 2 * prod(shape))
