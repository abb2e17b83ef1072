"""How far float32 may be from the exact result: from the arithmetic alone, so the same on every processor.

A bound from what one machine did fails on the next. Kernels differ in the order of their sums and in fused
multiplications; what they share is the number of roundings on the way of each number.
"""

import math

from torch import Tensor, nn

UNIT = 2.0**-24  # the largest relative error of one rounding to float32


def rounding(count: int) -> float:
    """The error that `count` roundings, one after another, leave in a sum, relative to the root of the sum of its
    terms' squares; both as root mean squares over many such sums.

    Each rounding adds at most UNIT times a partial sum. Of terms of random signs every partial sum, in any order, is
    at most as large as that root; the roundings are as random, so sqrt(count) of them add up and not count (Higham
    & Mary 2019, "A new approach to probabilistic rounding error analysis"). A rounding's own root mean square is
    about UNIT / sqrt(3), so the bound holds with room.
    """
    return math.sqrt(count) * UNIT


def roundings(network: nn.Module) -> int:
    """Roundings on the way through a network, had it all its layers in a row: one for each term of a layer's sums,
    and ten a layer for what stands between (bias, normalisation, activation, skip).

    Layers that keep the size of what they are given, as those of `random_weights.drawn`, keep the error's size too.
    """
    return sum(10 + p[0].numel() for p in network.parameters() if p.dim() > 1)


def distance(x: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference, relative to that of the expected values."""
    return ((x.double() - expected).norm() / expected.double().norm()).item()
