"""3 x 3 convolutions with a quarter of the multiplications (Winograd 1980; Lavin & Gray 2016, F(4 x 4, 3 x 3)).

A tile of 4 x 4 outputs is Y = A^T [(G g G^T) * (B^T d B)] A, with g the kernel, d the 6 x 6 inputs under the tile
and * elementwise: 36 products instead of 144, and over all channels and tiles these are 36 matrix products. On a
CPU, where the products' arithmetic is the cost, forward and backward become up to twice as fast; where AVX-512 has
made it cheap, moving the tiles costs what they save, and the convolution stays direct (docs/benchmarks.md).
"""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TILE, KERNEL = 4, 3
SPAN = TILE + KERNEL - 1  # inputs under a tile, along one side
POINTS = (0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)  # and infinity; with the usual 1 and 2 the rounding is twice as large
CHUNK = 1 << 21  # numbers transformed at a time: 8 MiB, so that caches and memory hold them
BELOW_AVX512 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")  # of oneDNN's names; all others are above


def has_avx512() -> bool:
    """Whether both of torch's own kernels (the processor's set, or ATEN_CPU_CAPABILITY) and oneDNN's use AVX-512."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or ""
    return torch.backends.cpu.get_cpu_capability() == "AVX512" and limit.upper() not in BELOW_AVX512


AVX512 = has_avx512()  # once, as both libraries read it


def tiles_pay(avx512: bool, channels: int, out_channels: int, pixels: int) -> bool:
    """Whether a layer is tiled on a CPU: without AVX-512, between many channels, over more than a few pixels.

    The fewer numbers an instruction takes, the more a product saved is worth: with AVX2 tiles are faster, with
    SSE4.1 several times. So one rule serves every set below AVX-512, unknown ones too. It follows from the set and
    the shape alone, never from a clock: the same layer runs the same way each time, and no recipe needs to tell.
    """
    return not avx512 and min(channels, out_channels) >= 128 and pixels >= 64


def _evaluation(coefficients: int) -> Tensor:
    """(SPAN, coefficients): a polynomial's values at the points; at infinity, its leading coefficient."""
    powers = torch.tensor(POINTS, dtype=torch.float64)[:, None] ** torch.arange(coefficients)
    return torch.cat([powers, torch.eye(coefficients, dtype=torch.float64)[-1:]])


# y_i = sum_r d_{i+r} g_r is the transpose of a product of polynomials with TILE and KERNEL coefficients, which
# is: evaluate both, multiply the values, interpolate (Toom-Cook).
A_T = _evaluation(TILE).T.float().contiguous()  # (TILE, SPAN)
G = _evaluation(KERNEL).float()  # (SPAN, KERNEL)
B_T = torch.linalg.inv(_evaluation(SPAN)).T.float().contiguous()  # (SPAN, SPAN)


class Conv3x3(nn.Conv2d):
    """nn.Conv2d with a 3 x 3 kernel and padding 1, by Winograd's tiles where these are faster: on a CPU in float32,
    where `tiles_pay`. The results differ by rounding alone.
    """

    def __init__(self, channels: int, out_channels: int):
        super().__init__(channels, out_channels, KERNEL, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        plain = x.dtype == self.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        pay = tiles_pay(AVX512, self.in_channels, self.out_channels, x.shape[2] * x.shape[3])
        if pay and plain and x.device.type == "cpu":
            return tiled_convolution(x, self.weight, self.bias)
        return super().forward(x)


@torch.library.custom_op("guidance_study::tiled_convolution", mutates_args=())
def tiled_convolution(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x (N, C, H, W), weight (K, C, 3, 3), bias (K,) -> (N, K, H, W), channels-last; one operation to torch.compile."""
    n, channels, height, width = x.shape
    down, across, out = -(-height // TILE), -(-width // TILE), len(weight)
    kernel = _both_sides(G, weight.permute(2, 3, 0, 1)).view(SPAN**2, out, channels).transpose(1, 2)
    y = x.new_empty(n, down, TILE, across, TILE, out)
    for part, target in zip(_parts(x, x), _parts(y, x), strict=True):
        products = _both_sides(B_T, _tiles(part, SPAN)).view(SPAN**2, -1, channels) @ kernel  # (36, tiles, K)
        tiles = _both_sides(A_T, products.view(SPAN, SPAN, -1)).view(TILE, TILE, -1, down, across, out)
        tiles = tiles.permute(2, 3, 0, 4, 1, 5)
        target.copy_(tiles) if bias is None else torch.add(tiles, bias, out=target)
    y = y.view(n, TILE * down, TILE * across, out)[:, :height, :width]
    return y.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


@torch.library.custom_op("guidance_study::tiled_weight_gradient", mutates_args=())
def tiled_weight_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """d(loss) / d(weight) = G^T [sum over tiles of (B^T d B) (A dY A^T)] G, (K, C, 3, 3)."""
    channels, out = x.shape[1], gradient.shape[1]
    total = x.new_zeros(SPAN**2, out, channels)
    for part, given in zip(_parts(x, x), _parts(gradient, x), strict=True):
        inputs = _both_sides(B_T, _tiles(part, SPAN)).view(SPAN**2, -1, channels)
        outputs = _both_sides(A_T.T, _tiles(given, TILE)).view(SPAN**2, -1, out)
        total.baddbmm_(outputs.transpose(1, 2), inputs)
    return _both_sides(G.T, total.view(SPAN, SPAN, -1)).view(KERNEL, KERNEL, out, channels).permute(2, 3, 0, 1)


@tiled_convolution.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(len(x), *x.shape[2:], len(weight)).permute(0, 3, 1, 2)


@tiled_weight_gradient.register_fake
def _(x: Tensor, gradient: Tensor) -> Tensor:
    return x.new_empty(KERNEL, KERNEL, gradient.shape[1], x.shape[1]).permute(2, 3, 0, 1)


def _keep(ctx, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    of_x, of_weight, of_bias = ctx.needs_input_grad
    return (
        tiled_convolution(gradient, weight.flip(2, 3).transpose(0, 1), None) if of_x else None,
        tiled_weight_gradient(x, gradient) if of_weight else None,
        gradient.sum((0, 2, 3)) if of_bias else None,
    )


tiled_convolution.register_autograd(_backward, setup_context=_keep)


def _parts(x: Tensor, like: Tensor) -> tuple[Tensor, ...]:
    """x in parts of whole samples, each of about CHUNK transformed numbers of `like`."""
    expanded = (SPAN / TILE) ** 2 * like.shape[1:].numel()
    return x.split(max(1, int(CHUNK / expanded)))


def _tiles(x: Tensor, size: int) -> Tensor:
    """Tiles of `size` x `size` pixels, TILE apart, around those of the output: (size, size, N tiles C)."""
    height, width = x.shape[2:]
    margin = (size - TILE) // 2
    below, right = margin + -height % TILE, margin + -width % TILE
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0, margin, right, margin, below))
    return x.unfold(1, size, TILE).unfold(2, size, TILE).permute(4, 5, 0, 1, 2, 3).reshape(size, size, -1)


def _both_sides(matrix: Tensor, x: Tensor) -> Tensor:
    """matrix (m, a) applied to both of x's first two dimensions (a, a, ...): (m, m, ...), flat after them."""
    rows, side = matrix.shape
    return matrix @ (matrix @ x.reshape(side, -1)).view(rows, side, -1)
