"""The tiled convolution against the direct one in float64: values, gradients, and when each is used."""

import pytest
import torch
from guidance_study.networks.modules import winograd
from guidance_study.networks.modules.winograd import Conv3x3
from torch.nn import functional as F

CHANNELS = 128  # the fewest that are tiled


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def distance(x, expected):
    """Root mean square of the difference, relative to the expected values'."""
    return ((x - expected).norm() / expected.norm()).item()


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
    assert max(distance(a, b) for a, b in zip(found, expected, strict=True)) < 2e-6


def test_its_rounding_is_about_that_of_the_direct_sum():
    layer, x = Conv3x3(CHANNELS, CHANNELS), F.silu(torch.randn(4, CHANNELS, 16, 16))
    with torch.no_grad():
        direct = F.conv2d(x, layer.weight, layer.bias, padding=1)
        expected = F.conv2d(x.double(), layer.weight.double(), layer.bias.double(), padding=1)
        assert distance(layer(x), expected) < 4 * distance(direct, expected)


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
    torch.library.opcheck(winograd.tiled_convolution, (x, weight, bias))
    torch.library.opcheck(winograd.tiled_convolution, (x.detach(), weight, None), test_utils="test_faketensor")
    torch.library.opcheck(winograd.tiled_weight_gradient, (x.detach(), torch.randn(2, 8, 9, 8)))


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
