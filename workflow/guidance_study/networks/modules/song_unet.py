"""The DDPM++ network of Song et al. 2021 ("Score-Based Generative Modeling through SDEs", App. H), as Karras et al.
2022 train it ("Elucidating the Design Space of Diffusion-Based Generative Models", App. F, Tab. 7).

Parameter names and shapes are those of EDM's public release, so that its CIFAR-10 checkpoint loads by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from guidance_study.networks.modules.embedding import check_label
from guidance_study.networks.modules.layers import Float32GroupNorm
from guidance_study.networks.modules.winograd import Conv3x3
from torch import Tensor, nn
from torch.nn import functional as F

SKIP_SCALE = math.sqrt(0.5)  # of a sum of two branches, so that it keeps their variance
LAST_GAIN = 1e-5  # of the convolution that ends a branch: it starts as almost nothing
ATTENTION_GAIN = math.sqrt(0.2)

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, Conv3x3)


def initialised(layer: Layer, gain: float = 1.0) -> Layer:
    """The convolution or linear layer with weights from U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)), bias 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def group_norm(channels: int) -> Float32GroupNorm:
    """Groups of at least 4 channels, 32 at most."""
    groups = min(32, channels // 4)
    if groups == 0 or channels % groups:
        raise ValueError(f"{channels} channels of a SongUNet do not split into min(32, channels / 4) equal groups")
    return Float32GroupNorm(groups, channels, eps=1e-6)


def noise_embedding(time: Tensor, dim: int, max_period: float = 10000) -> Tensor:
    """[sin(w_k t), cos(w_k t)] with w_k = max_period^(-k / (dim / 2 - 1)): time (N,) -> (N, dim) float32.

    Unlike in guided-diffusion the last frequency is 1 / max_period itself, and the sines come first.
    """
    half = dim // 2
    k = torch.arange(half, dtype=torch.float32, device=time.device)
    angles = time.float()[:, None] * max_period ** (-k / (half - 1))  # (N, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _halved(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class UNetBlock(nn.Module):
    """x (N, channels, H, W), embedding (N, E) -> (N, out_channels, H', W'), H' of `resample`: H / 2, 2 H or H.

    h = conv0(resample(silu(norm0(x)))) + affine(embedding)
    y = (skip(resample(x)) + conv1(dropout(silu(norm1(h))))) sqrt(1/2)
    and with attention among the pixels, one head of all channels,
    y = (y + proj(softmax(q k^T / sqrt(C)) v)) sqrt(1/2), q, k, v from qkv(norm2(y)).
    The channels of `qkv` are q, k and v of the first channel, then of the second, and so on.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        embedding: int,
        dropout: float,
        resample: Callable[[Tensor], Tensor] | None = None,
        attention: bool = False,
    ):
        super().__init__()
        self.resample = resample
        self.norm0 = group_norm(channels)
        self.conv0 = initialised(Conv3x3(channels, out_channels))
        self.affine = initialised(nn.Linear(embedding, out_channels))
        self.norm1 = group_norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv1 = initialised(Conv3x3(out_channels, out_channels), LAST_GAIN)
        changed = channels != out_channels or resample is not None
        self.skip = initialised(nn.Conv2d(channels, out_channels, 1)) if changed else None
        self.attention = attention
        if attention:
            self.norm2 = group_norm(out_channels)
            self.qkv = initialised(nn.Conv2d(out_channels, 3 * out_channels, 1), ATTENTION_GAIN)
            self.proj = initialised(nn.Conv2d(out_channels, out_channels, 1), LAST_GAIN)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = F.silu(self.norm0(x))
        if self.resample:
            x, h = self.resample(x), self.resample(h)
        h = self.conv0(h)
        h = h + self.affine(embedding).to(h.dtype)[:, :, None, None]
        h = self.conv1(self.dropout(F.silu(self.norm1(h))))
        y = ((x if self.skip is None else self.skip(x)) + h) * SKIP_SCALE
        return (y + self._attended(y)) * SKIP_SCALE if self.attention else y

    def _attended(self, y: Tensor) -> Tensor:
        # The 1 x 1 convolutions run as matrix products over (N, pixels, C): in channels-last that is y's own
        # layout. q, k and v are taken apart in the weights, the smaller of the two.
        channels = y.shape[1]
        weight = self.qkv.weight.view(channels, 3, channels).transpose(0, 1).flatten(0, 1)  # (3C, C)
        assert self.qkv.bias is not None
        bias = self.qkv.bias.view(channels, 3).T.flatten()
        tokens = self.norm2(y).flatten(2).transpose(1, 2)  # (N, L, C)
        q, k, v = F.linear(tokens, weight, bias)[:, None].chunk(3, dim=3)  # each (N, 1, L, C)
        h = F.scaled_dot_product_attention(q, k, v)[:, 0]  # (N, L, C)
        h = F.linear(h, self.proj.weight.flatten(1), self.proj.bias)
        return h.transpose(1, 2).unflatten(2, y.shape[2:])


class SongUNet(nn.Module):
    """EDM's network F with the "DDPM++" options.

    x (N, C, H, W); time (N,) is c_noise, for EDM ln(sigma) / 4; label (N,) in [0, rows), None exactly when rows is
    0, the last value being "no class"; augment (N, augment_dim), what was done to the image, None: nothing.
    Returns (N, C, H, W). channel_mult: each level's multiple of model_channels, H and W halving from level to
    level; num_blocks: a level; attn_resolutions: the sides (32, 16, ...) at which blocks attend.
    ValueError: one row, channels that do not split into groups.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        rows: int,
        *,
        model_channels: int,
        channel_mult: list[int],
        num_blocks: int,
        attn_resolutions: list[int],
        dropout: float,
        augment_dim: int,
    ):
        super().__init__()
        if rows == 1:
            raise ValueError("a SongUNet of 1 row would know no class beside 'no class': rows is 0, or 2 or more")
        self.rows, self.model_channels, self.augment_dim = rows, model_channels, augment_dim
        self.embedding, self.dropout = 4 * model_channels, dropout
        self.map_label = initialised(nn.Linear(rows - 1, model_channels)) if rows else None
        self.map_augment = initialised(nn.Linear(augment_dim, model_channels, bias=False)) if augment_dim else None
        self.map_layer0 = initialised(nn.Linear(model_channels, self.embedding))
        self.map_layer1 = initialised(nn.Linear(self.embedding, self.embedding))
        levels = [(shape[1] >> level, mult * model_channels) for level, mult in enumerate(channel_mult)]
        skips = self._build_encoder(shape[0], levels, num_blocks, attn_resolutions)
        self._build_decoder(shape[0], levels, num_blocks, attn_resolutions, skips)

    def _block(self, channels: int, out_channels: int, **options) -> UNetBlock:
        return UNetBlock(channels, out_channels, self.embedding, self.dropout, **options)

    def _build_encoder(self, colours: int, levels: list, blocks: int, attend: list[int]) -> list[int]:
        """Returns the channels of what each module hands across to the decoder."""
        channels, skips = self.model_channels, []
        self.enc = nn.ModuleDict()
        for level, (side, width) in enumerate(levels):
            if level == 0:
                self.enc[f"{side}x{side}_conv"] = initialised(nn.Conv2d(colours, channels, 3, padding=1))
            else:
                self.enc[f"{side}x{side}_down"] = self._block(channels, channels, resample=_halved)
            skips.append(channels)
            for index in range(blocks):
                block = self._block(channels, width, attention=side in attend)
                self.enc[f"{side}x{side}_block{index}"] = block
                channels = width
                skips.append(channels)
        return skips

    def _build_decoder(self, colours: int, levels: list, blocks: int, attend: list[int], skips: list[int]) -> None:
        """One block more a level than in the encoder, of which only the last attends."""
        channels = skips[-1]
        self.dec = nn.ModuleDict()
        for level, (side, width) in reversed(list(enumerate(levels))):
            if level == len(levels) - 1:
                self.dec[f"{side}x{side}_in0"] = self._block(channels, channels, attention=True)
                self.dec[f"{side}x{side}_in1"] = self._block(channels, channels)
            else:
                self.dec[f"{side}x{side}_up"] = self._block(channels, channels, resample=_doubled)
            for index in range(blocks + 1):
                last = index == blocks
                block = self._block(channels + skips.pop(), width, attention=last and side in attend)
                self.dec[f"{side}x{side}_block{index}"] = block
                channels = width
        self.dec[f"{side}x{side}_aux_norm"] = group_norm(channels)
        self.dec[f"{side}x{side}_aux_conv"] = initialised(nn.Conv2d(channels, colours, 3, padding=1), LAST_GAIN)

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None, augment: Tensor | None = None) -> Tensor:
        check_label(label, self.rows)
        embedding = self._embed(time, label, augment)
        h, skips = x, []
        for name, module in self.enc.items():
            h = module(h) if name.endswith("_conv") else module(h, embedding)
            skips.append(h)
        for name, module in self.dec.items():
            if name.endswith("_aux_norm"):
                h = F.silu(module(h))
            elif name.endswith("_aux_conv"):
                h = module(h)
            else:
                h = module(torch.cat([h, skips.pop()], dim=1) if "_block" in name else h, embedding)
        return h.to(x.dtype)  # under autocast too, the caller's arithmetic stays in x's precision

    def class_vectors(self) -> Tensor:
        """What it is told of each class, (rows, rows), one-hot; such vectors (N, rows) may be its label."""
        return torch.eye(self.rows, device=self.map_layer0.weight.device)

    def _embed(self, time: Tensor, label: Tensor | None, augment: Tensor | None) -> Tensor:
        """silu(W1 silu(W0 (noise + class + augmentation))), (N, embedding); "no class" is an all-zero one-hot."""
        embedding = noise_embedding(time, self.model_channels)
        if self.map_label is not None and label is not None:
            one_hot = label if label.is_floating_point() else F.one_hot(label, self.rows)
            embedding = embedding + self.map_label(one_hot[:, :-1].to(embedding.dtype) * math.sqrt(self.rows - 1))
        if augment is not None:
            if self.map_augment is None:
                raise ValueError("this network takes no augmentation labels (augment_dim is 0), but some were given")
            embedding = embedding + self.map_augment(augment.to(embedding.dtype))
        return F.silu(self.map_layer1(F.silu(self.map_layer0(embedding))))


def without_filters(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict less the release's "resample_filter" buffers, constants of its up- and downsampling: a 2 x 2 mean.

    ValueError: a filter is another one, so that the state is of another network.
    """
    filters = {name: value for name, value in state.items() if name.endswith(".resample_filter")}
    for name, found in filters.items():
        if found.shape != (1, 1, 2, 2) or not torch.allclose(found.float(), torch.tensor(0.25, device=found.device)):
            raise ValueError(f"'{name}' is not the filter [1, 1], the only one that this SongUNet resamples with")
    return {name: value for name, value in state.items() if name not in filters}
