"""Classifiers of clean samples x_0 (for features and evaluation) and of noisy ones x_t (for guidance).

All share one interface: `features(x, time)` is what the last layer `head` sees, `forward(x, time)` the
logits.
"""

from __future__ import annotations

import itertools
import math

import torch
from guidance_study.networks.modules.embedding import timestep_embedding
from torch import Tensor, nn
from torch.nn import functional as F

TIME_CHANNELS = 64  # of the sinusoidal time embedding
TIME_SCALE = 1000  # the largest time


class Classifier(nn.Module):
    """What the classifiers share: the check of `time`, and logits = head(features).

    x (N, *shape); time (N,) in [0, 1000] when `noisy`, else None: ValueError otherwise.
    """

    head: nn.Linear

    def __init__(self, noisy: bool):
        super().__init__()
        self.noisy = noisy

    def features(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """What the last layer sees, (N, F)."""
        if self.noisy and time is None:
            raise ValueError("this classifier was built for noisy samples and needs their time, but time is None")
        if not self.noisy and time is not None:
            raise ValueError("this classifier was built for clean samples and takes no time, but one was given")
        return self._features(x, time)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """Logits, (N, classes)."""
        return self.head(self.features(x, time))

    def _features(self, x: Tensor, time: Tensor | None) -> Tensor:
        raise NotImplementedError


class LinearClassifier(Classifier):
    """logits = W [x, time / 1000] + b: the deliberately weak classifier of the paper's Sec. 3.2 and D.5.2.

    The paper concatenates the flattened noisy sample and the diffusion step; the step is brought to [0, 1]
    here since next to coordinates of order 1 a raw step of up to 1000 swamps the gradient and W does not
    train. Features are the layer's input: the flattened x, followed by time / 1000 when noisy.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, noisy: bool):
        super().__init__(noisy)
        self.head = nn.Linear(math.prod(shape) + noisy, classes)

    def _features(self, x: Tensor, time: Tensor | None) -> Tensor:
        flat = x.flatten(1)
        return flat if time is None else torch.cat([flat, (time / TIME_SCALE)[:, None].to(flat.dtype)], dim=1)


class MLPClassifier(Classifier):
    """`layers` hidden layers of `width` units on the flattened x, each told the time when noisy (Sec. D.5.1).

    h_{l+1} = silu(W_l h_l + b_l + c_l(time)); features are the last hidden activation, (N, width).
    """

    def __init__(self, shape: tuple[int, ...], classes: int, noisy: bool, *, width: int, layers: int):
        super().__init__(noisy)
        sizes = [math.prod(shape)] + [width] * layers
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.time = TimeCondition([width] * layers) if noisy else None
        self.head = nn.Linear(width, classes)

    def _features(self, x: Tensor, time: Tensor | None) -> Tensor:
        conditions = [None] * len(self.hidden) if self.time is None else self.time(time)
        h = x.flatten(1)
        for layer, condition in zip(self.hidden, conditions, strict=True):
            h = layer(h)
            h = F.silu(h if condition is None else h + condition)
        return h


class CNNClassifier(Classifier):
    """A small convolutional network for images of 8 x 8 to 32 x 32 pixels.

    Levels of two 3 x 3 convolutions; every level after the first halves the image, until no side exceeds 4,
    and has twice the channels, up to 4 x `channels`. Then all is flattened into one hidden layer of
    `features` units. Features are that layer's activation, (N, features): the space in which Fig. 6 and the
    "classifier features" neighbours live. Group normalisation, so that a sample's logits never depend on its
    batch.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        noisy: bool,
        *,
        channels: int,
        features: int,
        dropout: float,
    ):
        super().__init__(noisy)
        width, (height, breadth) = shape[0], shape[1:]
        self.levels = nn.ModuleList()
        widths: list[int] = []
        while not self.levels or max(height, breadth) > 4:
            stride = 2 if self.levels else 1
            out = channels * min(2 ** len(self.levels), 4)
            self.levels.append(ConvLevel(width, out, stride))
            widths.append(out)
            width, height, breadth = out, -(-height // stride), -(-breadth // stride)
        self.time = TimeCondition(widths) if noisy else None
        self.hidden = nn.Linear(width * height * breadth, features)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(features, classes)

    def _features(self, x: Tensor, time: Tensor | None) -> Tensor:
        conditions = [None] * len(self.levels) if self.time is None else self.time(time)
        for level, condition in zip(self.levels, conditions, strict=True):
            x = level(x, condition)
        return self.dropout(F.silu(self.hidden(x.flatten(1))))


class ConvLevel(nn.Module):
    """Two normalised 3 x 3 convolutions, the first of the given stride; the time shifts what the second
    sees.
    """

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        groups = math.gcd(8, max(1, width // 4))
        self.width = width
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1)
        self.norm1 = nn.GroupNorm(math.gcd(groups, width), width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = nn.GroupNorm(math.gcd(groups, width), width)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        h = self.norm1(self.conv1(x))
        if condition is not None:
            h = h + condition[:, :, None, None]
        return F.silu(self.norm2(self.conv2(F.silu(h))))


class TimeCondition(nn.Module):
    """time (N,) -> one learned shift (N, width) for each of `widths`, all from a single product."""

    def __init__(self, widths: list[int]):
        super().__init__()
        self.widths = widths
        self.embed = nn.Linear(TIME_CHANNELS, TIME_CHANNELS)
        self.project = nn.Linear(TIME_CHANNELS, sum(widths))

    def forward(self, time: Tensor) -> tuple[Tensor, ...]:
        embedding = F.silu(self.embed(timestep_embedding(time, TIME_CHANNELS)))
        return self.project(embedding).split(self.widths, dim=1)
