"""EDM, and the loss of the rectified-flow base: against Gaussians whose posteriors are known."""

import math

import numpy as np
import pytest
import torch
from guidance_study.support.randomness import generator
from guided import process

pytestmark = pytest.mark.numeric

MEAN, DEVIATION = 0.3, 0.7


def gaussian_denoiser(x, sigma, label):
    """D for data N(MEAN, DEVIATION^2), coordinate by coordinate."""
    level = sigma.reshape(-1, 1)
    return (DEVIATION**2 * x + level**2 * MEAN) / (DEVIATION**2 + level**2)


def test_limits_of_the_preconditioning():
    """Without noise the input passes and the output does not; with much noise it is the other way round."""
    edm, sigma = process("edm"), torch.tensor([1e-6, 0.5, 1e6], dtype=torch.float64)
    c_skip, c_out, c_in, c_noise = edm.preconditioning(sigma)
    assert c_skip.tolist() == pytest.approx([1, 0.5, 0], abs=1e-9)
    assert c_out.tolist() == pytest.approx([0, 0.5 / math.sqrt(2), 0.5], abs=2e-6)
    assert c_in.tolist() == pytest.approx([2, math.sqrt(2), 0], abs=2e-6)
    assert torch.allclose(c_noise, sigma.log() / 4)


def test_the_network_sees_unit_variance_and_its_target_has_it():
    """What EDM's coefficients are for: Var(c_in x) = 1, and Var((x_0 - c_skip x) / c_out) = 1."""
    edm, draw = process("edm"), np.random.default_rng(0)
    for sigma in (0.05, 0.5, 5.0):
        x0, noise = 0.5 * draw.standard_normal(200_000), draw.standard_normal(200_000)
        c_skip, c_out, c_in, _ = (float(c) for c in edm.preconditioning(torch.tensor([sigma])))
        x = x0 + sigma * noise
        assert np.var(c_in * x) == pytest.approx(1, rel=0.02)
        assert np.var((x0 - c_skip * x) / c_out) == pytest.approx(1, rel=0.02)


def test_the_loss_of_the_perfect_network_is_the_weighted_posterior_variance():
    edm, draw = process("edm", sigma_data=DEVIATION), generator(0, "test")
    x0 = torch.from_numpy((MEAN + DEVIATION * draw.standard_normal((100_000, 1))).astype(np.float32))
    noise = torch.from_numpy(draw.standard_normal((100_000, 1), dtype=np.float32))
    for level in (0.1, 1.0):
        sigma = torch.full((100_000,), level)
        value = float(edm.loss(gaussian_denoiser, x0, None, sigma, noise))
        assert value == pytest.approx(1.0, rel=0.02)  # 1 / c_out^2 times the variance of x_0 given x, which is c_out^2


def test_training_levels_are_log_normal():
    sigma = process("edm").times(generator(0, "levels"), 100_000)
    assert sigma.dtype == np.float32
    assert np.log(sigma).mean() == pytest.approx(-1.2, abs=0.02)
    assert np.log(sigma).std() == pytest.approx(1.2, abs=0.02)


def test_the_flows_loss_is_zero_for_the_true_direction():
    flow, noise = process("rectified_flow"), torch.randn(8, 2)
    x0 = torch.randn(8, 2)
    assert float(flow.loss(lambda z, s, label: x0 - noise, x0, None, torch.rand(8), noise)) == 0
    assert float(flow.loss(lambda z, s, label: noise - x0, x0, None, torch.rand(8), noise)) > 1
