"""The UNet of Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis" (Sec. 3, Appendix C).

Parameter names and shapes are those of its public release (guided-diffusion), so that its checkpoints, and
those of the many works that build on it, load by name.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from guidance_study.networks.modules.embedding import check_label, timestep_embedding
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


class Upsample(nn.Module):
    """Twice the height and width by nearest neighbour, then a 3 x 3 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


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
    returns skip(x) + conv(dropout(silu(norm(h)))), the last convolution zero at the start.
    """

    def __init__(
        self, channels: int, out_channels: int, embedding: int, dropout: float, scale_shift: bool, groups: int | None
    ):
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(norm(channels, groups), nn.SiLU(), Conv3x3(channels, out_channels))
        width = 2 * out_channels if scale_shift else out_channels
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, width))
        self.out_layers = nn.Sequential(
            norm(out_channels, groups),
            nn.SiLU(),
            nn.Dropout(dropout),
            zeroed(Conv3x3(out_channels, out_channels)),
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.in_layers(x)
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

    def __init__(
        self, channels: int, num_heads: int, num_head_channels: int, groups: int | None = None, new_order: bool = False
    ):
        super().__init__()
        self.new_order = new_order
        self.heads = num_heads if num_head_channels == -1 else channels // num_head_channels
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


class UNetModel(nn.Module):
    """The UNet of Dhariwal & Nichol 2021 with as many output as input channels (no learned variance).

    x (N, C, H, W), time (N,) in [0, 1000], label (N,) in [0, rows), None exactly when rows is 0; returns (N,
    C, H, W). model_channels: of the first level; channel_mult: each level's multiple of it, H and W halving
    from level to level; num_res_blocks: a level; attention_resolutions: downsampling factors (1, 2, 4, ...)
    at which attention follows every residual block (the middle always has one); num_head_channels: sets the
    number of heads unless -1; patch: side of the squares of pixels that the first convolution sees as channels of
    one pixel, and the last one writes so (Shi et al. 2016). The last convolution starts at zero, and so does the
    output.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        rows: int,
        *,
        model_channels: int,
        num_res_blocks: int,
        attention_resolutions: list[int],
        channel_mult: list[int],
        num_heads: int,
        num_head_channels: int,
        dropout: float,
        norm_groups: int | None,
        use_new_attention_order: bool,
        use_scale_shift_norm: bool,
        patch: int,
    ):
        super().__init__()
        embedding, inputs = 4 * model_channels, shape[0] * patch**2
        self.rows, self.model_channels, self.patch = rows, model_channels, patch
        self.time_embed = nn.Sequential(
            nn.Linear(model_channels, embedding), nn.SiLU(), nn.Linear(embedding, embedding)
        )
        if rows:
            self.label_emb = nn.Embedding(rows, embedding)

        def residual(channels: int, out_channels: int) -> ResBlock:
            return ResBlock(channels, out_channels, embedding, dropout, use_scale_shift_norm, norm_groups)

        def attention(channels: int) -> AttentionBlock:
            return AttentionBlock(channels, num_heads, num_head_channels, norm_groups, use_new_attention_order)

        widths = [int(mult * model_channels) for mult in channel_mult]
        channels = widths[0]
        self.input_blocks = nn.ModuleList([TimestepEmbedSequential(nn.Conv2d(inputs, channels, 3, padding=1))])
        skips = [channels]  # channels of what each input block hands across to its output block
        for level, width in enumerate(widths):
            for _ in range(num_res_blocks):
                layers: list[nn.Module] = [residual(channels, width)]
                channels = width
                if 2**level in attention_resolutions:
                    layers.append(attention(channels))
                self.input_blocks.append(TimestepEmbedSequential(*layers))
                skips.append(channels)
            if level < len(widths) - 1:
                self.input_blocks.append(TimestepEmbedSequential(Downsample(channels)))
                skips.append(channels)
        middle = residual(channels, channels), attention(channels), residual(channels, channels)
        self.middle_block = TimestepEmbedSequential(*middle)
        self.output_blocks = nn.ModuleList()
        for level, width in reversed(list(enumerate(widths))):
            for block in range(num_res_blocks + 1):
                layers, channels = [residual(channels + skips.pop(), width)], width
                if 2**level in attention_resolutions:
                    layers.append(attention(channels))
                if level and block == num_res_blocks:
                    layers.append(Upsample(channels))
                self.output_blocks.append(TimestepEmbedSequential(*layers))
        last = zeroed(nn.Conv2d(channels, inputs, 3, padding=1))
        self.out = nn.Sequential(norm(channels, norm_groups), nn.SiLU(), last)

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None) -> Tensor:
        check_label(label, self.rows)
        embedding = self.time_embed(timestep_embedding(time, self.model_channels))
        if self.rows:
            embedding = embedding + self.label_emb(label)
        h, skips = F.pixel_unshuffle(x, self.patch), []
        for block in self.input_blocks:
            h = block(h, embedding)
            skips.append(h)
        h = self.middle_block(h, embedding)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), embedding)
        return F.pixel_shuffle(self.out(h), self.patch).to(
            x.dtype
        )  # under autocast too, the caller's arithmetic stays in x's precision
