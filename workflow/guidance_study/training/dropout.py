"""Dropout whose masks are keyed by (seed, purpose, step, layer, row of the global batch): whoever computes a row, and
with which others, drops the same of its units.

A row's key in a layer is two draws on the CPU, a and b below 2^32, a odd. Unit j of the row is kept where
(a mix(j) + b) mod 2^32 >= p 2^32: with probability 1 - p, and nearly independently of any other unit. Integers are
exact, so a GPU, which computes this where the unit lies, has the CPU's masks.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from guidance_study.support.randomness import generator

Draws = Callable[[int], tuple[Tensor, ...]]  # step -> tensors on the CPU, a row for each sample of the batch


def keyed(
    network: nn.Module, draws: Draws, loss: Callable[..., Tensor], *, batch: int, seed: int, purpose: str
) -> tuple[Draws, Callable[..., Tensor]]:
    """Draws and loss of a training whose network's `nn.Dropout` layers take their masks from the rows' keys.

    The keys, (batch, layers, 2) int32, follow the draws, so that they are shared out and split as these are. The
    network is to be called once in a loss, with the rows in their order; without dropout nothing changes.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Dropout) and m.p > 0]
    if not layers:
        return draws, loss
    for layer in layers:
        layer.forward = partial(_dropped, layer)  # type: ignore[method-assign]  # torch calls the instance's own

    def with_keys(step: int) -> tuple[Tensor, ...]:
        draw = generator(seed, f"{purpose}/dropout", step)
        keys = draw.integers(2**32, size=(batch, len(layers), 2), dtype=np.uint32)
        keys[..., 0] |= 1
        return *draws(step), torch.from_numpy(keys.view(np.int32))

    def masked(*tensors: Tensor) -> Tensor:
        *told, keys = tensors
        for layer, mine in zip(layers, keys.unbind(1), strict=True):
            layer.keys = mine
        return loss(*told)

    return with_keys, masked


def kept(keys: Tensor, x: Tensor, p: float) -> Tensor:
    """Which units of x (N, ...) are kept, bool in its shape; keys (N, 2) int32."""
    a, b = (key.reshape(-1, *[1] * (x.ndim - 1)) for key in keys.unbind(1))  # int32 wraps: a sum mod 2^32
    units = torch.empty_like(x[:1], dtype=torch.int32)  # in x's layout in memory, whatever that is
    units.copy_(_mixed(x[:1].numel(), x.device).view(units.shape))
    number = torch.addcmul(b, a, units)  # less 2^31, as the units are, for a is odd
    return number >= min(round(p * 2**32), 2**32 - 1) - 2**31


def _dropped(layer: nn.Dropout, x: Tensor) -> Tensor:
    if not layer.training:
        return x
    assert isinstance(layer.keys, Tensor)
    return x * kept(layer.keys, x, layer.p) / (1 - layer.p)


def _mixed(n: int, device: torch.device) -> Tensor:
    """mix(0..n-1) - 2^31, (n,) int32; mix, the finalizer of MurmurHash3, scatters numbers one to one over 32 bits."""
    h = torch.arange(n, device=device)  # int64, of which the low 32 bits count
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = ((h ^ (h >> shift)) * factor) & 0xFFFFFFFF
    return (h - 2**31).to(torch.int32)
