"""What every network is told beside x: the time as sinusoids, x as random Fourier features, the class."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def timestep_embedding(time: Tensor, dim: int, max_period: float = 10000) -> Tensor:
    """[cos(w_k t), sin(w_k t)] with w_k = max_period^(-k / (dim // 2)), k = 0 ... dim // 2 - 1.

    time (N,) in [0, 1000], fractions allowed; returns (N, dim) float32, a last column of zeros where dim is
    odd. The sinusoids of Vaswani et al. 2017 as DDPM uses them, cosines first as in Dhariwal & Nichol 2021,
    whose checkpoints depend on that order.
    """
    half = dim // 2
    k = torch.arange(half, dtype=torch.float32, device=time.device)
    angles = time.float()[:, None] * torch.exp(-math.log(max_period) * k / half)  # (N, half)
    embedding = torch.cat([angles.cos(), angles.sin()], dim=1)
    return nn.functional.pad(embedding, (0, 1)) if dim % 2 else embedding


class FourierFeatures(nn.Module):
    """[cos(2 pi B x), sin(2 pi B x)] with B fixed, its entries drawn from N(0, sigma^2) (Tancik et al. 2020).

    x (N, dim_in) -> (N, 2 count). They let an MLP resolve the thin branches of the 2D fractal, about 1 /
    sigma wide. B (count, dim_in) comes from torch's global generator, which the caller seeds, and is saved
    with the weights.
    """

    matrix: Tensor

    def __init__(self, dim_in: int, count: int, sigma: float):
        super().__init__()
        self.register_buffer("matrix", torch.randn(count, dim_in) * sigma)

    def forward(self, x: Tensor) -> Tensor:
        angles = 2 * math.pi * nn.functional.linear(x, self.matrix)
        return torch.cat([angles.cos(), angles.sin()], dim=1)


def class_vector(label: Tensor | None, table: Tensor) -> Tensor:
    """What a network is told of classes, (N, D): rows of its table (rows, D), or vectors (N, D) that stand for them."""
    assert label is not None  # as check_label saw to
    return label if label.is_floating_point() else nn.functional.embedding(label, table)


def check_label(label: Tensor | None, rows: int) -> None:
    """ValueError unless a label is given exactly when the network has class-embedding rows.

    The values stay unchecked: that would make a GPU wait at every step, and the embedding checks them where
    it is free.
    """
    if rows and label is None:
        raise ValueError(f"this network has {rows} class-embedding rows and needs a label, but label is None")
    if not rows and label is not None:
        raise ValueError("this network takes no class (rows is 0), but a label was given")
