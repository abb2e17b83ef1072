"""The UNet of Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis" (Sec. 3, Appendix C).

Parameter names and shapes are those of its public release (guided-diffusion), so that its checkpoints, and
those of the many works that build on it, load by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from guidance_study.networks.modules.embedding import check_label, class_vector, timestep_embedding
from guidance_study.networks.modules.layers import Float32GroupNorm
from guidance_study.networks.modules.winograd import Conv3x3
from torch import Tensor, nn
from torch.nn import functional as F

Module = TypeVar("Module", bound=nn.Module)


def norm(channels: int, groups: int | None) -> Float32GroupNorm:
    """A normalisation over groups of channels: so many, or the most up to 32 that have at least four channels each.

    Groups of one single channel would subtract exactly the per-channel shift by which a residual block learns
    its time and class. The number changes no parameter's shape, and what a trained network computes.
    """
    if groups is None:
        groups = max(n for n in range(1, 33) if channels % n == 0 and channels >= min(4, channels) * n)
    return Float32GroupNorm(groups, channels)


def zeroed(module: Module) -> Module:
    """The module, its parameters set to zero: a branch that ends in it starts as nothing."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def doubled(x: Tensor) -> Tensor:
    """Twice the height and width, by nearest neighbour."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def halved(x: Tensor) -> Tensor:
    """Half the height and width, the means of 2 x 2 pixels."""
    return F.avg_pool2d(x, 2)


class Upsample(nn.Module):
    """Twice the height and width by nearest neighbour, then a 3 x 3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(doubled(x))


class Downsample(nn.Module):
    """Half the height and width by a 3 x 3 convolution of stride 2."""

    def __init__(self, channels: int):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class ResBlock(nn.Module):
    """x (N, channels, H, W), embedding (N, embedding) -> (N, out_channels, H, W).

    h = conv(silu(norm(x))); the embedding shifts h, or with scale_shift scales and shifts norm(h);
    returns skip(x) + conv(dropout(silu(norm(h)))), the last convolution zero at the start. `resized`, where given,
    halves or doubles x and what its first convolution sees.
    """

    def __init__(
        self, channels: int, out_channels: int, parts: Parts, resized: Callable[[Tensor], Tensor] | None = None
    ):
        super().__init__()
        self.scale_shift, self.resized = parts.use_scale_shift_norm, resized
        self.in_layers = nn.Sequential(norm(channels, parts.norm_groups), nn.SiLU(), Conv3x3(channels, out_channels))
        width = 2 * out_channels if parts.use_scale_shift_norm else out_channels
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(parts.embedding, width))
        self.out_layers = nn.Sequential(
            norm(out_channels, parts.norm_groups),
            nn.SiLU(),
            nn.Dropout(parts.dropout),
            zeroed(Conv3x3(out_channels, out_channels)),
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        norm_, silu, conv = self.in_layers
        h = silu(norm_(x))
        if self.resized is not None:
            h, x = self.resized(h), self.resized(x)
        h = conv(h)
        condition = self.emb_layers(embedding).to(h.dtype)[:, :, None, None]
        norm_, silu, dropout, conv = self.out_layers
        if self.scale_shift:
            scale, shift = condition.chunk(2, dim=1)
            h = norm_(h) * (1 + scale) + shift
        else:
            h = norm_(h + condition)
        return self.skip_connection(x) + conv(dropout(silu(h)))


class AttentionBlock(nn.Module):
    """Self-attention among the pixels: x + proj(softmax(q k^T / sqrt(d)) v), q, k, v from norm(x); x (N, C,
    H, W).

    The channels of `qkv` are ordered head by head, q, k and v side by side within each head, or in the `new_order`
    first all of q, then all of k, then all of v, each head by head.
    """

    def __init__(self, channels: int, heads: int, groups: int | None = None, new_order: bool = False):
        super().__init__()
        self.heads, self.new_order = heads, new_order
        self.norm = norm(channels, groups)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        # The 1 x 1 convolutions run as matrix products over (N, pixels, C): in channels-last that is x's own
        # layout, and the fast attention kernels want the head's channels adjacent.
        tokens = self.norm(x).flatten(2).transpose(1, 2)  # (N, L, C)
        qkv = F.linear(tokens, self.qkv.weight.squeeze(2), self.qkv.bias)  # (N, L, 3C)
        if self.new_order:
            q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each (N, heads, L, d)
        else:
            q, k, v = qkv.unflatten(2, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (N, L, C)
        h = F.linear(h, self.proj_out.weight.squeeze(2), self.proj_out.bias)
        return x + h.transpose(1, 2).unflatten(2, x.shape[2:])


class TimestepEmbedSequential(nn.Sequential):
    """Layers in a row; the residual blocks among them are given the embedding too."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # type: ignore[override]  # a second argument
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResBlock) else layer(x)
        return x


@dataclass(frozen=True)
class Parts:
    """What a UNet and its encoder half are made of, by guided-diffusion's names.

    model_channels: of the first level; channel_mult: each level's multiple of it, H and W halving from level to level;
    num_res_blocks: a level; attention_resolutions: downsampling factors (1, 2, 4, ...) at which attention follows every
    residual block (the middle always has one); num_head_channels: sets the number of heads unless -1.
    """

    model_channels: int
    num_res_blocks: int
    attention_resolutions: list[int]
    channel_mult: list[int]
    num_heads: int
    num_head_channels: int
    dropout: float
    norm_groups: int | None
    use_new_attention_order: bool
    use_scale_shift_norm: bool
    resblock_updown: bool

    @property
    def widths(self) -> list[int]:
        """Channels of each level."""
        return [multiple * self.model_channels for multiple in self.channel_mult]

    @property
    def embedding(self) -> int:
        """Width of the embedding of time and class."""
        return 4 * self.model_channels

    def heads(self, channels: int) -> int:
        """Attention heads among so many channels."""
        return self.num_heads if self.num_head_channels == -1 else channels // self.num_head_channels

    def attention(self, channels: int) -> AttentionBlock:
        """Attention among the pixels of a level."""
        return AttentionBlock(channels, self.heads(channels), self.norm_groups, self.use_new_attention_order)

    def time_embed(self) -> nn.Sequential:
        """From `timestep_embedding` to the embedding that residual blocks see."""
        first = nn.Linear(self.model_channels, self.embedding)
        return nn.Sequential(first, nn.SiLU(), nn.Linear(self.embedding, self.embedding))

    def level(self, level: int, channels: int) -> list[nn.Module]:
        """A residual block from so many channels to the level's, and attention where it is wanted."""
        width = self.widths[level]
        layers: list[nn.Module] = [ResBlock(channels, width, self)]
        return [*layers, self.attention(width)] if 2**level in self.attention_resolutions else layers

    def down(self, channels: int) -> nn.Module:
        """Half the height and width."""
        return ResBlock(channels, channels, self, halved) if self.resblock_updown else Downsample(channels)

    def up(self, channels: int) -> nn.Module:
        """Twice the height and width."""
        return ResBlock(channels, channels, self, doubled) if self.resblock_updown else Upsample(channels)

    def encoder(self, inputs: int) -> tuple[nn.ModuleList, list[int]]:
        """The way down, and the channels of what each of its blocks hands across to its output block."""
        channels = self.widths[0]
        blocks = nn.ModuleList([TimestepEmbedSequential(nn.Conv2d(inputs, channels, 3, padding=1))])
        skips = [channels]
        for level, width in enumerate(self.widths):
            for _ in range(self.num_res_blocks):
                blocks.append(TimestepEmbedSequential(*self.level(level, channels)))
                channels = width
                skips.append(channels)
            if level < len(self.widths) - 1:
                blocks.append(TimestepEmbedSequential(self.down(channels)))
                skips.append(channels)
        return blocks, skips

    def middle(self) -> nn.Module:
        """A residual block, attention, a residual block, at the smallest level."""
        width = self.widths[-1]
        return TimestepEmbedSequential(
            ResBlock(width, width, self), self.attention(width), ResBlock(width, width, self)
        )


class UNetModel(nn.Module):
    """The UNet of Dhariwal & Nichol 2021.

    x (N, C, H, W), time (N,) in [0, 1000], label (N,) in [0, rows), None exactly when rows is 0; returns (N,
    C, H, W), with learn_sigma (N, 2 C, H, W), of which the second half says the variance (Nichol & Dhariwal 2021).
    patch: side of the squares of pixels that the first convolution sees as channels of one pixel, and the last one
    writes so (Shi et al. 2016). The others: `Parts`. The last convolution starts at zero, and so does the output.
    """

    def __init__(self, shape: tuple[int, ...], rows: int, *, patch: int, learn_sigma: bool, **said: Any):
        super().__init__()
        parts, inputs = Parts(**said), shape[0] * patch**2
        self.rows, self.model_channels, self.patch = rows, parts.model_channels, patch
        self.time_embed = parts.time_embed()
        if rows:
            self.label_emb = nn.Embedding(rows, parts.embedding)
        self.input_blocks, skips = parts.encoder(inputs)
        self.middle_block = parts.middle()
        self.output_blocks, channels = nn.ModuleList(), parts.widths[-1]
        for level, width in reversed(list(enumerate(parts.widths))):
            for block in range(parts.num_res_blocks + 1):
                layers, channels = parts.level(level, channels + skips.pop()), width
                if level and block == parts.num_res_blocks:
                    layers.append(parts.up(channels))
                self.output_blocks.append(TimestepEmbedSequential(*layers))
        last = zeroed(nn.Conv2d(channels, inputs * (2 if learn_sigma else 1), 3, padding=1))
        self.out = nn.Sequential(norm(channels, parts.norm_groups), nn.SiLU(), last)

    def class_vectors(self) -> Tensor:
        """What it is told of each class, (rows, D); such vectors (N, D) may be its label."""
        return self.label_emb.weight

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        check_label(label, self.rows)
        embedding = self.time_embed(timestep_embedding(time, self.model_channels))
        if self.rows:
            embedding = embedding + class_vector(label, self.label_emb.weight)
        h, skips = F.pixel_unshuffle(x, self.patch), []
        for block in self.input_blocks:
            h = block(h, embedding)
            skips.append(h)
        h = self.middle_block(h, embedding)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), embedding)
        out = F.pixel_shuffle(self.out(h), self.patch)
        return out.to(x.dtype)  # under autocast too, the caller's arithmetic stays in x's precision
