"""The tiled convolution against the direct one in float64: values, gradients, and when each is used."""

import pytest
import torch
from guidance_study.networks.modules import winograd
from guidance_study.networks.modules.winograd import Conv3x3
from rounding import distance, rounding
from torch.nn import functional as F

pytestmark = pytest.mark.numeric

CHANNELS = 128  # the fewest that are tiled
MATRICES = ("A_T", "G", "B_T")


@pytest.fixture(autouse=True)
def seeded(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(winograd, "AVX512", False)  # tiles are right on every processor, where they do not pay too


def term_sizes(function, *given) -> torch.Tensor:
    """Root of the sum of the squares of all terms that make up each result of a tiled function, in float64.

    The function is linear in the matrices and in what it is given, so of their squares it gives the terms' squares.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in MATRICES:
            patch.setattr(winograd, name, getattr(winograd, name).double().square())
        return function(*(t.detach().double().square() for t in given)).sqrt()


def bounds(x, weight, bias, gradient) -> list[float]:
    """Rounding of y and of its gradients for x, weight and bias, relative to their sizes by the terms that are summed:
    SPAN or KERNEL or TILE in each transform, on two sides, twice before the product and once after; channels or
    tiles in the product; B_T itself is rounded; the bias is added.
    """
    ends = 6 * winograd.SPAN + 3
    tiles = len(x) * -(-x.shape[2] // winograd.TILE) * -(-x.shape[3] // winograd.TILE)
    y = term_sizes(winograd.tiled_convolution, x, weight, bias)
    of_x = term_sizes(winograd.tiled_convolution, gradient, weight.flip(2, 3).transpose(0, 1), torch.zeros(x.shape[1]))
    of_weight = term_sizes(winograd.tiled_weight_gradient, x, gradient)
    of_bias = gradient.double().square().sum((0, 2, 3)).sqrt()
    counts = (ends + x.shape[1], ends + gradient.shape[1], ends + tiles, gradient[:, 0].numel())
    return [rounding(n) * size.norm() for n, size in zip(counts, (y, of_x, of_weight, of_bias), strict=True)]


@pytest.mark.parametrize("last", [False, True], ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("size", [(8, 8), (14, 14), (9, 11)])
def test_it_is_the_direct_convolution_up_to_rounding(size, last, monkeypatch):
    monkeypatch.setattr(winograd, "CHUNK", 40_000)  # more than one chunk, the last one short
    layout = torch.channels_last if last else torch.contiguous_format
    layer = Conv3x3(CHANNELS, CHANNELS + 4).to(memory_format=layout)
    x = torch.randn(3, CHANNELS, *size).to(memory_format=layout).requires_grad_()
    given = torch.randn(3, CHANNELS + 4, *size)
    y = layer(x)
    assert "tiled_convolution" in type(y.grad_fn).__name__
    assert y.is_contiguous(memory_format=torch.channels_last)
    found = [y, *torch.autograd.grad(y, (x, layer.weight, layer.bias), given)]
    exact = [t.detach().double().requires_grad_() for t in (x, layer.weight, layer.bias)]
    y = F.conv2d(*exact, padding=1)
    expected = [y, *torch.autograd.grad(y, exact, given.double())]
    assert [a.dtype for a in found] == [torch.float32] * 4
    for a, b, bound in zip(found, expected, bounds(x, layer.weight, layer.bias, given), strict=True):
        assert (a - b).norm() < bound


def test_in_float64_nothing_but_the_rounding_of_one_matrix_is_left(monkeypatch):
    """The algorithm is exact: with its matrices in float64 it differs from the direct sum by float64's rounding."""
    exact = torch.linalg.inv(winograd._evaluation(winograd.SPAN)).T
    for name, value in zip(MATRICES, (winograd.A_T.double(), winograd.G.double(), exact), strict=True):
        monkeypatch.setattr(winograd, name, value)
    x, weight = (torch.randn(*shape, dtype=torch.float64) for shape in ((2, 8, 9, 11), (8, 8, 3, 3)))
    assert distance(winograd.tiled_convolution(x, weight, None), F.conv2d(x, weight, padding=1)) < 1e-12


def amplification(points) -> float:
    """Size of the terms of one channel's F(4 x 4, 3 x 3) with these points, relative to the nine of the direct sum."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "POINTS", points)
        of_y, of_g, of_x = (winograd._evaluation(n) for n in (winograd.TILE, winograd.KERNEL, winograd.SPAN))
    rows = of_g.square().sum(1) * torch.linalg.inv(of_x).T.square().sum(1)
    return (of_y.T.square() @ rows).mean().item() / winograd.KERNEL  # the square of one side's is that of both


def test_its_points_round_less_than_half_as_much_as_the_usual_ones():
    """Of random inputs and weights; the direct sum's terms are 1."""
    assert amplification(winograd.POINTS) < 5
    assert amplification((0, 1, -1, 2, -2)) > 2 * amplification(winograd.POINTS)


@pytest.mark.parametrize(
    ("capability", "limit", "found"),
    [
        ("AVX512", None, True),
        ("AVX512", "", True),
        ("AVX512", "ALL", True),
        ("AVX512", "avx512_core", True),
        ("AVX512", "AVX512_CORE_AMX", True),
        ("AVX512", "AVX2", False),
        ("AVX512", "avx2_vnni", False),
        ("AVX512", "SSE41", False),
        ("AVX2", None, False),
        ("AVX2", "AVX512_CORE", False),
        ("DEFAULT", None, False),
        ("SVE256", None, False),
    ],
)
def test_the_instruction_set_is_the_lower_of_torchs_and_onednns(monkeypatch, capability, limit, found):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
        if limit is not None:
            monkeypatch.setenv(name, limit)
        assert winograd.has_avx512() == found
        monkeypatch.delenv(name, raising=False)


def test_with_avx512_it_is_the_direct_convolution_itself(monkeypatch):
    monkeypatch.setattr(winograd, "AVX512", True)
    layer, x = Conv3x3(CHANNELS, CHANNELS), torch.randn(2, CHANNELS, 8, 8)
    assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1))


def test_frozen_weights_and_fixed_inputs_get_no_gradient():
    layer, x = Conv3x3(CHANNELS, CHANNELS), torch.randn(1, CHANNELS, 8, 8)
    layer(x).sum().backward()
    assert x.grad is None
    assert layer.weight.grad is not None
    layer.requires_grad_(False)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad.abs().max() > 0


def test_torch_compile_may_take_them_for_single_operations():
    x, weight = torch.randn(2, CHANNELS, 9, 8, requires_grad=True), torch.randn(8, CHANNELS, 3, 3, requires_grad=True)
    bias = torch.randn(8, requires_grad=True)
    check = torch.library.opcheck
    found = check(winograd.tiled_convolution, (x, weight, bias))
    found |= check(winograd.tiled_convolution, (x.detach(), weight, None), test_utils="test_faketensor")
    found |= check(winograd.tiled_weight_gradient, (x.detach(), torch.randn(2, 8, 9, 8)))
    assert set(found.values()) == {"SUCCESS"}, found


@pytest.mark.parametrize(
    ("channels", "side", "precision"),
    [(CHANNELS - 4, 8, torch.float32), (CHANNELS, 4, torch.float32), (CHANNELS, 8, torch.float64)],
)
def test_elsewhere_it_is_the_direct_convolution_itself(channels, side, precision):
    layer, x = Conv3x3(channels, CHANNELS).to(precision), torch.randn(2, channels, side, side, dtype=precision)
    assert torch.equal(layer(x), F.conv2d(x, layer.weight, layer.bias, padding=1))


def test_autocast_keeps_its_precision():
    with torch.autocast("cpu", torch.bfloat16):
        assert Conv3x3(CHANNELS, CHANNELS)(torch.randn(2, CHANNELS, 8, 8)).dtype == torch.bfloat16
