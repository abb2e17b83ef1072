"""Distances to a classifier's boundary against closed forms."""

import numpy as np
import pytest
import torch
from guidance_study.networks.models import margins
from torch import nn

pytestmark = pytest.mark.numeric


class Linear(nn.Module):
    """logits = x W + b, on the flattened x."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, x):
        return x.flatten(1) @ self.weight + self.bias


class Radial(nn.Module):
    """Class 0 within the unit circle: the distance to the boundary is | |x| - 1 |."""

    def forward(self, x):
        inside = 1 - x.norm(dim=1)
        return torch.stack([inside, -inside], 1)


@pytest.fixture
def linear():
    source = torch.Generator().manual_seed(0)
    return Linear(torch.randn(12, 4, generator=source), torch.randn(4, generator=source))


def exact(linear: Linear, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """min over j != y of (f_y - f_j) / |w_y - w_j|."""
    w, f = linear.weight.double().numpy(), x.reshape(len(x), -1) @ linear.weight.double().numpy()
    f = f + linear.bias.double().numpy()
    found = []
    for row, y in zip(f, labels, strict=True):
        found.append(min((row[y] - row[j]) / np.linalg.norm(w[:, y] - w[:, j]) for j in range(4) if j != y))
    return np.array(found)


def test_of_a_linear_classifier_it_is_the_closed_form_with_its_sign(linear):
    x = np.random.default_rng(0).standard_normal((50, 3, 2, 2)).astype(np.float32)
    labels = np.arange(50) % 4
    found = margins.first_order(linear, x, labels)
    assert found == pytest.approx(exact(linear, x.astype(np.float64), labels), rel=1e-4, abs=1e-5)
    predicted = linear(torch.from_numpy(x)).argmax(1).numpy()
    assert np.array_equal(found > 0, predicted == labels)


def test_deepfool_finds_the_distance_of_a_linear_classifier_in_one_step(linear):
    x = np.random.default_rng(1).standard_normal((50, 3, 2, 2)).astype(np.float32)
    predicted = linear(torch.from_numpy(x)).argmax(1).numpy()
    expected = exact(linear, x.astype(np.float64), predicted)
    assert margins.deepfool(linear, x, limit=2) == pytest.approx(expected, rel=1e-4, abs=1e-5)  # the second looks
    assert np.isnan(margins.deepfool(linear, x, limit=1)).all()


def test_of_a_circle_both_are_the_distance_to_it():
    angle = np.linspace(0, 6, 20)
    radius = np.linspace(0.2, 3, 20)
    x = (radius * np.stack([np.cos(angle), np.sin(angle)])).T.astype(np.float32)
    found = margins.first_order(Radial(), x, np.zeros(20, dtype=np.int64))
    assert found == pytest.approx(1 - radius, abs=1e-5)
    assert margins.deepfool(Radial(), x) == pytest.approx(np.abs(1 - radius), abs=1e-5)


def test_batches_change_nothing(linear, monkeypatch):
    x = np.random.default_rng(2).standard_normal((30, 12)).astype(np.float32)
    labels = np.arange(30) % 4
    whole = margins.first_order(linear, x, labels), margins.deepfool(linear, x)
    monkeypatch.setattr(margins, "AT_ONCE", 7)
    parts = margins.first_order(linear, x, labels), margins.deepfool(linear, x)
    for one, other in zip(whole, parts, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)
