"""The encoder of Rombach et al. 2022, "High-Resolution Image Synthesis with Latent Diffusion Models" (Appendix G).

Parameter names and shapes are those of diffusers' AutoencoderKL, so that its files load by name.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Stable Diffusion's own sizes.
STABLE_DIFFUSION = {"widths": (128, 256, 512, 512), "blocks": 2, "latent": 4, "quantised": True}
# Names of the attention's layers in older files, and now.
RENAMED = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


class ResBlock(nn.Module):
    """x (N, in, H, W) -> shortcut(x) + conv2(silu(norm2(conv1(silu(norm1(x)))))), (N, out, H, W)."""

    def __init__(self, channels: int, out_channels: int):
        super().__init__()
        self.norm1, self.norm2 = _norm(channels), _norm(out_channels)
        self.conv1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(channels, out_channels, 1) if channels != out_channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return self.conv_shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    """Self-attention of one head among the pixels: x + out(softmax(q k^T / sqrt(C)) v); x (N, C, H, W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.group_norm = _norm(channels)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.group_norm(x).flatten(2).transpose(1, 2)  # (N, L, C)
        q, k, v = (project(tokens)[:, None] for project in (self.to_q, self.to_k, self.to_v))  # (N, 1, L, C)
        h = self.to_out(F.scaled_dot_product_attention(q, k, v)[:, 0])
        return x + h.transpose(1, 2).unflatten(2, x.shape[2:])


class Downsample(nn.Module):
    """Half the height and width; the padding is on the right and below only."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Level(nn.Module):
    """Residual blocks at one resolution and, but for the last level, the way to the next."""

    def __init__(self, channels: int, width: int, blocks: int, last: bool):
        super().__init__()
        self.resnets = nn.Sequential(*(ResBlock(width if i else channels, width) for i in range(blocks)))
        self.downsamplers = nn.Sequential(*([] if last else [Downsample(width)]))

    def forward(self, x: Tensor) -> Tensor:
        return self.downsamplers(self.resnets(x))


class Middle(nn.Module):
    """Attention between two residual blocks at the lowest resolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.attentions = nn.Sequential(Attention(channels))
        self.resnets = nn.Sequential(ResBlock(channels, channels), ResBlock(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.resnets[1](self.attentions(self.resnets[0](x)))


class Encoder(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> (N, 2 latent, H / 2^(levels - 1), W / 2^(levels - 1))."""

    def __init__(self, widths: tuple[int, ...], blocks: int, latent: int):
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        into = (widths[0], *widths)
        self.down_blocks = nn.Sequential(
            *(Level(into[i], width, blocks, i + 1 == len(widths)) for i, width in enumerate(widths))
        )
        self.mid_block = Middle(widths[-1])
        self.conv_norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 2 * latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.mid_block(self.down_blocks(self.conv_in(x)))
        return self.conv_out(F.silu(self.conv_norm_out(h)))


class PosteriorMean(nn.Module):
    """Images (N, 3, H, W) in [-1, 1] -> the mean of q(z | x), (N, latent, H / 8, W / 8) with four levels.

    `quantised`: whether a 1 x 1 convolution follows the encoder; later autoencoders left it out.
    """

    def __init__(self, widths: tuple[int, ...], blocks: int, latent: int, quantised: bool):
        super().__init__()
        self.encoder = Encoder(widths, blocks, latent)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1) if quantised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        mean, _ = torch.chunk(self.quant_conv(self.encoder(x)), 2, dim=1)  # the other half: log variances
        return mean


def encoder_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What of an autoencoder's weights belongs to the encoder, under today's names."""
    kept = {key: value for key, value in state.items() if not key.startswith(("decoder.", "post_quant_conv."))}
    start = "encoder.mid_block.attentions.0."
    for old, new in RENAMED.items():
        for part in ("weight", "bias"):
            if f"{start}{old}.{part}" in kept:
                kept[f"{start}{new}.{part}"] = kept.pop(f"{start}{old}.{part}")
    return kept


def sizes(state: dict[str, Tensor]) -> dict:
    """The arguments of PosteriorMean for these weights; Stable Diffusion's where they do not tell."""
    widths: list[int] = []
    blocks = 0
    while (key := f"encoder.down_blocks.{len(widths)}.resnets.0.conv1.weight") in state:
        widths.append(len(state[key]))
    while f"encoder.down_blocks.0.resnets.{blocks}.conv1.weight" in state:
        blocks += 1
    if not widths or "encoder.conv_out.weight" not in state:
        return STABLE_DIFFUSION
    latent = len(state["encoder.conv_out.weight"]) // 2
    return {"widths": tuple(widths), "blocks": blocks, "latent": latent, "quantised": "quant_conv.weight" in state}
