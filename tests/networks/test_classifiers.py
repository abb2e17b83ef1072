"""Classifiers' networks: logits from features, gradients, samples by themselves."""

import pytest
import torch
from random_weights import build, drawn
from rounding import distance, rounding, roundings

pytestmark = pytest.mark.numeric

CLASSIFIERS = {
    "linear": {"kind": "linear"},
    "mlp": {"kind": "mlp", "width": 16, "layers": 2},
    "cnn": {"kind": "cnn", "channels": 8, "features": 12},
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers(kind, noisy):
    network = drawn(build(CLASSIFIERS[kind], (1, 8, 8), 10, noisy)).eval()
    x, time = torch.randn(5, 1, 8, 8), torch.rand(5) * 1000
    given = (x, time) if noisy else (x,)
    logits, features = network(*given), network.features(*given)
    torch.testing.assert_close(network.head(features), logits)
    assert logits.shape == (5, 10)
    assert features.shape == (5, {"linear": 64 + noisy, "mlp": 16, "cnn": 12}[kind])
    alone = torch.cat([network(*(a[i : i + 1] for a in given)) for i in range(5)])
    assert distance(logits, alone) < 2 * rounding(roundings(network))
    if noisy:
        assert (logits - network(x, (time + 300) % 1000)).abs().max() > 1e-3
    torch.nn.functional.cross_entropy(logits, torch.arange(5)).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 1e-7] == []
    with pytest.raises(ValueError, match="time is None" if noisy else "takes no time"):
        network(*((x,) if noisy else (x, time)))


@pytest.mark.parametrize("side", [8, 16, 28, 32])
def test_the_cnn_adapts_to_the_image_size(side):
    network = build(CLASSIFIERS["cnn"], (3, side, side), 10, True)
    assert network(torch.randn(2, 3, side, side), torch.rand(2) * 1000).shape == (2, 10)
    assert network.hidden.in_features <= 32 * 16


def test_the_linear_classifiers_gradient_is_its_weights():
    """grad_x log p(c | x, t) = W_c - sum_k p(k | x, t) W_k, the step's column left out."""
    network = build({"kind": "linear"}, (2, 3), 4, True)
    x, time, c = torch.randn(5, 2, 3, requires_grad=True), torch.rand(5) * 1000, torch.tensor([0, 1, 2, 3, 0])
    logits = network(x, time)
    logits.log_softmax(1)[torch.arange(5), c].sum().backward()
    weight = network.head.weight[:, :6]
    torch.testing.assert_close(x.grad.flatten(1), weight[c] - logits.softmax(1) @ weight)
    expected = x.flatten(1) @ weight.T + (time / 1000)[:, None] * network.head.weight[:, 6] + network.head.bias
    torch.testing.assert_close(logits, expected)
