"""DPM-Solver++(2M), grids and clipping against closed forms."""

import numpy as np
import pytest
import torch
from guidance_study.config import seams
from guidance_study.guidance import BASE, Batch, Model
from guidance_study.support.randomness import Draws

pytestmark = pytest.mark.numeric

PROCESS = seams.parse("processes", {"kind": "ddpm"})


def sampler(**changes):
    return seams.parse("processes.samplers", {"kind": "dpm_solver"} | changes)


def gaussian(variance: float, mean: float = 0.0):
    """The exact eps of N(mean, variance): the ODE's end is linear in its start, from the first step's scale on."""

    def eps(x, t, *_):
        abar = PROCESS.abar[t][:, None].to(x)
        return (1 - abar).sqrt() * (x - abar.sqrt() * mean) / (abar * variance + 1 - abar)

    return eps


def ends(spec, eps, n: int = 64) -> torch.Tensor:
    draws = Draws(0, "test", 0, n)
    return spec.sample(PROCESS, eps, draws.normal("x", (1,)).double(), None, draws)


@pytest.mark.parametrize("grid", ["uniform", "log_snr"])
@pytest.mark.parametrize("steps", [1, 2, 7, 50, 400, 1000])
def test_steps_are_so_many_different_ones_from_the_first_to_the_data(grid, steps):
    times = sampler(grid=grid, steps=steps).times(PROCESS)
    assert len(times) == len(set(times)) == steps + 1
    assert times == sorted(times, reverse=True)
    assert times[0] == 999
    assert times[-1] == -1
    assert steps == 1 or times[-2] == 0


def test_the_grid_in_log_snr_is_even_in_it():
    there = [PROCESS.log_snr(t) for t in sampler(grid="log_snr", steps=20).times(PROCESS)[:-1]]
    gaps = np.diff(there)
    resolution = max(abs(PROCESS.log_snr(t) - PROCESS.log_snr(t + 1)) for t in range(999))  # of whole steps
    assert abs(gaps - gaps.mean()).max() <= resolution


def test_a_point_is_reached_exactly_whatever_the_steps():
    for kind in ("dpm_solver", "ddim"):
        for steps in (1, 3, 20):
            spec = seams.parse("processes.samplers", {"kind": kind, "grid": "log_snr", "steps": steps})
            assert ends(spec, gaussian(0.0, mean=2.0)) == pytest.approx(torch.full((64, 1), 2.0), abs=1e-9)


def test_its_first_step_is_ddims():
    draws = Draws(0, "test", 0, 8)
    x = draws.normal("x", (1,)).double()
    both = [
        next(
            iter(
                seams.parse("processes.samplers", {"kind": kind, "steps": 5}).path(
                    PROCESS, gaussian(0.3), x, None, draws
                )
            )
        )
        for kind in ("dpm_solver", "ddim")
    ]
    assert both[0][0] == both[1][0]
    assert both[0][1] == pytest.approx(both[1][1], abs=1e-12)


def test_it_is_of_second_order_where_ddim_is_of_first():
    """Twice the steps: a quarter of the error in the deviation of a Gaussian's ends, or half of it."""

    def deviation(kind: str, steps: int) -> float:
        spec = seams.parse("processes.samplers", {"kind": kind, "grid": "log_snr", "steps": steps})
        return float(ends(spec, gaussian(0.5)).std())

    errors = {
        kind: [abs(deviation(kind, n) - deviation(kind, 1000)) for n in (20, 40)] for kind in ("dpm_solver", "ddim")
    }
    assert 3 < errors["dpm_solver"][0] / errors["dpm_solver"][1] < 5
    assert 1.5 < errors["ddim"][0] / errors["ddim"][1] < 2.5
    assert errors["dpm_solver"][1] < errors["ddim"][1] / 10


def test_clipping_before_guidance_is_of_each_model_and_after_it_of_their_mixture():
    rule = seams.parse("guidance", {"kind": "classifier_free"})
    draws = Draws(0, "test", 0, 4)
    x = 3 * draws.normal("x", (1,)).double()
    label = torch.zeros(4, dtype=torch.long)
    model = Model(lambda x, t, label: gaussian(1.0, 5.0)(x, t) * (1 + label[:, None]), 1)

    def first(clip: str) -> torch.Tensor:
        spec = sampler(steps=1, clip_x0=clip)
        seen = Model(spec.denoiser(PROCESS, model.denoiser), model.null)
        return spec.sample(PROCESS, rule.start(Batch(3.0, PROCESS, {BASE: seen}, draws, 1)), x, label, draws)

    t = torch.full((4,), 999)
    noise, signal = (1 - PROCESS.abar[999]).sqrt(), PROCESS.abar[999].sqrt()
    own, free = ((x - noise * model(x, t, label + k)) / signal for k in (0, 1))
    mixed = free + 3.0 * (own - free)
    assert first("none") == pytest.approx(mixed, rel=1e-6)
    assert first("after_guidance") == pytest.approx(mixed.clamp(-1, 1), rel=1e-6)
    assert first("before_guidance") == pytest.approx(
        free.clamp(-1, 1) + 3.0 * (own.clamp(-1, 1) - free.clamp(-1, 1)), rel=1e-4
    )


def test_the_loss_on_v_is_that_of_eps_over_the_signal():
    spec = seams.parse("processes", {"kind": "ddpm", "prediction": "v", "loss_on": "v"})
    draws = Draws(0, "test", 0, 16)
    x0, noise = draws.normal("x0", (3,)), draws.normal("noise", (3,))
    t = torch.arange(16) * 60
    v = spec.sqrt_abar(t, x0) * noise - spec.sqrt_one_minus_abar(t, x0) * x0
    off = draws.normal("off", (3,))
    found = spec.loss(spec.denoiser(lambda x, time, label: v + off), x0, None, t, noise)
    assert float(found) == pytest.approx(float(off.square().mean()), rel=1e-4)
