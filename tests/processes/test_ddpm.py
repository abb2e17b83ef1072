"""DDPM's schedule, loss and predictions."""

import math

import pytest
import torch
from guidance_study.config import seams
from guided import DDPM, noise, process

pytestmark = pytest.mark.numeric


def test_schedule_is_ddpms():
    assert math.isclose(float(DDPM.abar[0]), 1 - 1e-4)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    assert torch.allclose(DDPM.abar, torch.cumprod(1 - betas, 0))
    assert DDPM.signal(-1) == 1  # x_0


def test_a_process_that_computed_something_is_still_the_same_entry():
    used, fresh = process(timesteps=10), process(timesteps=10)
    used.sqrt_abar(torch.arange(3), noise(3, 1))
    assert used == fresh
    assert used.plain() == fresh.plain()
    assert seams.parse("processes", used.plain()) == fresh


def test_loss_is_zero_for_the_noise_itself_and_one_for_no_prediction():
    x0, e, t = noise(512, 6), noise(512, 6, seed=1), torch.randint(0, 1000, (512,))
    assert float(DDPM.loss(lambda *_: e, x0, None, t, e)) == 0
    assert abs(float(DDPM.loss(lambda x, *_: torch.zeros_like(x), x0, None, t, e)) - 1) < 0.1


def test_v_prediction_is_the_same_eps():
    """A network that outputs v = sqrt(abar) eps - sqrt(1 - abar) x_0 gives back eps."""
    by_v = process(prediction="v")
    x0, e, t = noise(32, 2), noise(32, 2, seed=1), torch.arange(0, 960, 30)
    v = by_v.sqrt_abar(t, x0) * e - by_v.sqrt_one_minus_abar(t, x0) * x0
    assert torch.allclose(by_v.denoiser(lambda *_: v)(by_v.noised(x0, t, e), t, None), e, atol=1e-12)


def test_the_noise_level_is_that_of_the_noised_data():
    """x_t = a x_0 + b n has the level b / a."""
    for t in (0, 500, 999):
        data, rest = (DDPM.noised(*pair) for pair in (part(1.0, 0.0, t), part(0.0, 1.0, t)))
        assert math.isclose(DDPM.sigma(t), float(rest / data), rel_tol=1e-12)
    assert DDPM.sigma(-1) == 0
    assert process("edm").sigma(3.5) == 3.5
    assert process("rectified_flow").sigma(0.25) == 3
    assert process("rectified_flow").sigma(1.0) == 0


def part(x0: float, e: float, t: int):
    return torch.full((1, 1), x0, dtype=torch.float64), torch.tensor([t]), torch.full((1, 1), e, dtype=torch.float64)
