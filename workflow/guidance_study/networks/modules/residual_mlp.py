"""The denoiser of points and of small images on a CPU."""

from __future__ import annotations

import math

import torch
from guidance_study.networks.modules.embedding import FourierFeatures, check_label, class_vector, timestep_embedding
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualMLP(nn.Module):
    """Residual MLP over the flattened sample, told time and class in every block.

    h_0 = A [x, fourier(x)]
    h_{b+1} = h_b + V_b silu(W_b norm(h_b) + c_b(time, label))
    output = C norm(h_B)

    x (N, *shape), time (N,) in [0, 1000], label (N,) in [0, rows), None exactly when rows is 0; returns (N,
    *shape). width: of h; blocks: B; fourier: how many random frequencies (0: none), of scale fourier_sigma
    per unit of x; zero_init: C starts at zero, so the output does.

    The paper's own MLP (Fig. S4) is not public; this one keeps its parts (time and class embedding, hidden
    layers of one width). It is sized for a CPU, where the products' arithmetic is the cost: the branch is 3/4
    of the width and the embedding 1/4.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        rows: int,
        *,
        width: int,
        blocks: int,
        fourier: int,
        fourier_sigma: float,
        zero_init: bool,
    ):
        super().__init__()
        size, inner = math.prod(shape), max(1, 3 * width // 4)
        self.rows, self.blocks, self.embedding = rows, blocks, max(32, width // 4)
        self.fourier = FourierFeatures(size, fourier, fourier_sigma) if fourier else None
        self.input = nn.Linear(size + 2 * fourier, width)
        self.time = nn.Linear(self.embedding, self.embedding)
        self.label = nn.Embedding(rows, self.embedding) if rows else None
        self.condition = nn.Linear(self.embedding, blocks * inner)  # every c_b at once: one product, not B
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(blocks))
        self.expand = nn.ModuleList(nn.Linear(width, inner, bias=False) for _ in range(blocks))
        projections = [nn.Linear(inner, width) for _ in range(blocks)]
        self.project = nn.ModuleList(projections)
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, size)
        with torch.no_grad():
            for layer in projections:  # blocks start close to the identity: trains faster than the default
                layer.weight.mul_(0.1)
                layer.bias.zero_()
            if zero_init:
                self.output.weight.zero_()
                self.output.bias.zero_()

    def class_vectors(self) -> Tensor | None:
        """What it is told of each class, (rows, D); such vectors (N, D) may be its label."""
        return None if self.label is None else self.label.weight

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        check_label(label, self.rows)
        flat = x.flatten(1)  # (N, size)
        h = self.input(flat if self.fourier is None else torch.cat([flat, self.fourier(flat)], dim=1))
        embedding = self.time(timestep_embedding(time, self.embedding))
        if self.label is not None:
            embedding = embedding + class_vector(label, self.label.weight)
        conditions = self.condition(F.silu(embedding)).chunk(self.blocks, dim=1)  # blocks x (N, inner)
        for norm, expand, project, condition in zip(self.norms, self.expand, self.project, conditions, strict=True):
            h = h + project(F.silu(expand(norm(h)) + condition))
        return self.output(self.norm(h)).to(x.dtype).view(x.shape)
