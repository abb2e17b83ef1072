"""The classifier of noisy images of Dhariwal & Nichol 2021 (Sec. 4, Appendix H): the way down of their UNet, pooled.

Parameter names and shapes are those of its public release (guided-diffusion, pool "attention"), but that the last
layer, a 1 x 1 convolution of one pixel there, is the linear layer `head` here.
"""

from __future__ import annotations

from typing import Any

import torch
from guidance_study.networks.modules.classifiers import Classifier
from guidance_study.networks.modules.embedding import timestep_embedding
from guidance_study.networks.modules.unet import Parts, norm
from torch import Tensor, nn
from torch.nn import functional as F


class AttentionPool(nn.Module):
    """x (N, C, H, W) -> (N, C): what the mean of all pixels finds when it attends to itself and to them (Radford et al.
    2021, CLIP). Each has a learned position; the channels of `qkv_proj` are all of q, then of k, then of v.
    """

    def __init__(self, channels: int, pixels: int, heads: int):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(channels, pixels + 1) / channels**0.5)
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        pixels = x.flatten(2)
        tokens = torch.cat([pixels.mean(2, keepdim=True), pixels], dim=2) + self.positional_embedding
        qkv = self.qkv_proj(tokens).unflatten(1, (3, self.heads, -1)).permute(1, 0, 2, 4, 3)  # (3, N, heads, L, d)
        q, k, v = qkv
        return F.scaled_dot_product_attention(q[:, :, :1], k, v).flatten(1)


class UNetEncoder(Classifier):
    """x (N, C, H, W) -> logits (N, classes); time (N,) in [0, 1000] when `noisy`, else every x is of time 0.

    Features are what the pool found, (N, F). The other arguments: `Parts`.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, noisy: bool, **said: Any):
        super().__init__(noisy)
        parts = Parts(**said)
        self.model_channels, halvings = parts.model_channels, len(parts.widths) - 1
        self.time_embed = parts.time_embed()
        self.input_blocks, _ = parts.encoder(shape[0])
        self.middle_block = parts.middle()
        channels, pixels = parts.widths[-1], (shape[1] >> halvings) * (shape[2] >> halvings)
        pool = AttentionPool(channels, pixels, parts.heads(channels))
        self.out = nn.Sequential(norm(channels, parts.norm_groups), nn.SiLU(), pool)
        self.head = nn.Linear(channels, classes)

    def _features(self, x: Tensor, time: Tensor | None) -> Tensor:
        at = x.new_zeros(len(x)) if time is None else time
        embedding = self.time_embed(timestep_embedding(at, self.model_channels))
        h = x
        for block in self.input_blocks:
            h = block(h, embedding)
        return self.out(self.middle_block(h, embedding).to(x.dtype))
