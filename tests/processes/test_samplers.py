"""Samplers against Gaussians whose trajectories are known, and what they tell a guided model of their steps."""

import math
from itertools import pairwise

import pytest
import torch
from guidance_study.config import seams
from guidance_study.support.randomness import Draws
from guided import DDPM, MEAN, VARIANCE, exact_eps, noise, process, sample, sampler

pytestmark = pytest.mark.numeric

DEVIATION = VARIANCE**0.5


def test_ddims_times_are_evenly_spaced_and_end_at_the_data():
    assert sampler(steps=1000).times(DDPM) == list(range(999, -2, -1))
    assert sampler(steps=3).times(DDPM) == [999, 500, 0, -1]  # 499.5 rounds to even
    assert sampler(steps=1).times(DDPM) == [999, -1]
    with pytest.raises(ValueError, match=r"key 'here.steps' has the value 1001: at most 1000, .* process 'mine'"):
        sampler(steps=1001).check("here", "mine", DDPM)


def test_ddim_follows_the_closed_form_path_of_a_gaussian():
    """The probability flow of a Gaussian keeps every sample's standard score; DDIM with 1000 steps comes close."""
    x = noise(64, 2)
    end = sample(exact_eps(), x, steps=1000)
    last = DDPM.abar[-1]
    score = (x - last.sqrt() * MEAN) / (last * VARIANCE + 1 - last).sqrt()
    assert torch.allclose(end, MEAN + DEVIATION * score, atol=5e-3)


def test_ddim_step_is_exact_for_a_point_mass():
    """Data at one point: eps points at it exactly, and every number of steps ends there."""
    for steps in (1, 7):
        end = sample(exact_eps(variance=0.0), noise(8, 3), steps=steps)
        assert torch.allclose(end, torch.full_like(end, MEAN), atol=1e-12)


def test_ancestral_sampling_reproduces_the_gaussian():
    n = 20_000
    end = sample(exact_eps(), noise(n, 1), kind="ancestral", steps=1000)
    assert abs(float(end.mean()) - MEAN) < 5 * math.sqrt(VARIANCE / n)
    assert abs(float(end.var()) / VARIANCE - 1) < 5 * math.sqrt(2 / n) + 5e-3


def test_clip_keeps_every_prediction_in_range():
    end = sample(lambda x, *_: -x, noise(16, 1, 4, 4), steps=5, clip_x0="after_guidance")
    assert float(end.abs().max()) <= 1


def test_path_ends_at_the_data_and_names_its_steps():
    ddim = sampler(steps=4)
    path = list(ddim.path(DDPM, exact_eps(), noise(4, 1), None, Draws(0, "test", 0, 4)))
    assert [t for t, _ in path] == ddim.times(DDPM)[1:] == [666, 333, 0, -1]
    assert torch.equal(path[-1][1], sample(exact_eps(), noise(4, 1), steps=4))


def gaussian_denoiser(x, sigma, label, *_):
    """D for data N(MEAN, VARIANCE), coordinate by coordinate."""
    level = sigma.reshape(-1, 1)
    return (VARIANCE * x + level**2 * MEAN) / (VARIANCE + level**2)


def heun_error(steps: int) -> float:
    start = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    end = sample(gaussian_denoiser, start, process=process("edm"), kind="heun", steps=steps)
    exact = MEAN + (80.0 * start.double() - MEAN) * DEVIATION / math.sqrt(VARIANCE + 80.0**2)
    assert end.dtype == torch.float32
    return float((end.double() - exact).abs().max())


def test_heun_follows_the_known_path_of_a_gaussian_with_second_order():
    errors = [heun_error(steps) for steps in (18, 36, 72)]
    assert errors[0] < 0.15
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3


def test_noise_levels_run_from_the_highest_to_zero():
    levels = sampler("heun").levels()
    assert levels[0] == pytest.approx(80.0)
    assert levels[-2] == pytest.approx(0.002)
    assert levels[-1] == 0.0
    assert all(a > b for a, b in pairwise(levels))


@pytest.mark.parametrize(("tolerance", "most"), [(1e-3, 1e-1), (1e-6, 1e-4)])
def test_a_rectified_flow_follows_the_known_path_of_a_gaussian(tolerance, most):
    """v = E[x_0 - n | z_s]; from z at s = 0 the flow ends at MEAN + DEVIATION z."""

    def velocity(z, s, label, *_):
        s = s.reshape(-1, 1)
        slope = (s * VARIANCE - (1 - s)) / (s**2 * VARIANCE + (1 - s) ** 2)
        return MEAN + slope * (z - s * MEAN)

    start, flow = noise(50, 3), process("rectified_flow")
    end = sample(velocity, start, process=flow, kind="dopri5", rtol=tolerance, atol=tolerance)
    assert float((end - (MEAN + DEVIATION * start)).abs().max()) < most


FITTING = [
    (kind, name)
    for kind, found in seams.kinds("processes.samplers").items()
    for name, spec in seams.kinds("processes").items()
    if issubclass(spec, found.fits)
]


@pytest.mark.parametrize(("kind", "fitting"), FITTING)
def test_a_sampler_says_what_a_step_is_and_how_many_evaluations_it_takes(kind, fitting):
    """x has the level of its step, which falls to the data's, 0; a model is called as often as `evaluations` says."""
    seen = []

    def model(x, t, label, step):
        assert t.shape == (5,)
        assert float(t[0]) == pytest.approx(step.t)
        assert step.process is fitting
        seen.append(step)
        return 0.1 * x

    fitting, chosen = process(fitting), sampler(kind, **({} if kind == "dopri5" else {"steps": 4}))
    chosen.sample(fitting, model, noise(5, 2).float(), None, Draws(0, "test", 0, 5))
    if kind == "dopri5":
        assert (chosen.evaluations(), chosen.together) == (None, 500)
        assert [step.index for step in seen] == list(range(len(seen)))
        assert {step.next_t for step in seen} == {None}
        return
    assert len(seen) == chosen.evaluations()
    assert chosen.together is None
    firsts = [step for step in seen if step.evaluation == 0]
    assert [(step.index, step.count) for step in firsts] == [(i, 4) for i in range(4)]
    assert all(a.next_sigma == b.sigma < a.sigma for a, b in pairwise(firsts))
    assert firsts[-1].next_sigma == 0
    for again in (step for step in seen if step.evaluation > 0):
        assert again.sigma == again.next_sigma == firsts[again.index].next_sigma
    assert chosen.one_evaluation == (len(firsts) == len(seen))
