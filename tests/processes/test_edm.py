"""EDM, its augmentations, and the rectified-flow base: against Gaussians whose paths are known."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from guidance_study.guidance.classifier_free import ClassifierFree
from guidance_study.processes import augment, build
from guidance_study.processes.edm import EDM
from guidance_study.processes.rectified_flow import RectifiedFlow
from guidance_study.support.randomness import generator

pytestmark = pytest.mark.numeric

MEAN, DEVIATION = 0.3, 0.7


def gaussian_denoiser(x, sigma, label):
    """D for data N(MEAN, DEVIATION^2), coordinate by coordinate."""
    level = sigma.reshape(-1, 1)
    return (DEVIATION**2 * x + level**2 * MEAN) / (DEVIATION**2 + level**2)


def heun_error(steps: int) -> float:
    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    end = EDM().sample(gaussian_denoiser, noise, None, steps=steps)
    start = 80.0 * noise.double()
    exact = MEAN + (start - MEAN) * DEVIATION / math.sqrt(DEVIATION**2 + 80.0**2)
    assert end.dtype == torch.float32
    return float((end.double() - exact).abs().max())


def test_heun_follows_the_known_path_of_a_gaussian_with_second_order():
    errors = [heun_error(steps) for steps in (18, 36, 72)]
    assert errors[0] < 0.15
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3


def test_noise_levels_run_from_the_highest_to_zero():
    levels = EDM().levels(18, 0.002, 80.0, 7.0)
    assert levels[0] == pytest.approx(80.0)
    assert levels[-2] == pytest.approx(0.002)
    assert levels[-1] == 0.0
    assert all(a > b for a, b in pairwise(levels))


def test_limits_of_the_preconditioning():
    """Without noise the input passes and the output does not; with much noise it is the other way round."""
    edm, sigma = EDM(), torch.tensor([1e-6, 0.5, 1e6], dtype=torch.float64)
    c_skip, c_out, c_in, c_noise = edm.preconditioning(sigma)
    assert c_skip.tolist() == pytest.approx([1, 0.5, 0], abs=1e-9)
    assert c_out.tolist() == pytest.approx([0, 0.5 / math.sqrt(2), 0.5], abs=2e-6)
    assert c_in.tolist() == pytest.approx([2, math.sqrt(2), 0], abs=2e-6)
    assert torch.allclose(c_noise, sigma.log() / 4)


def test_the_network_sees_unit_variance_and_its_target_has_it():
    """What EDM's coefficients are for: Var(c_in x) = 1, and Var((x_0 - c_skip x) / c_out) = 1."""
    edm, draw = EDM(), np.random.default_rng(0)
    for sigma in (0.05, 0.5, 5.0):
        x0, noise = 0.5 * draw.standard_normal(200_000), draw.standard_normal(200_000)
        c_skip, c_out, c_in, _ = (float(c) for c in edm.preconditioning(torch.tensor([sigma])))
        x = x0 + sigma * noise
        assert np.var(c_in * x) == pytest.approx(1, rel=0.02)
        assert np.var((x0 - c_skip * x) / c_out) == pytest.approx(1, rel=0.02)


def test_the_loss_of_the_perfect_network_is_the_weighted_posterior_variance():
    edm, draw = EDM(sigma_data=DEVIATION), generator(0, "test")
    x0 = torch.from_numpy((MEAN + DEVIATION * draw.standard_normal((100_000, 1))).astype(np.float32))
    noise = torch.from_numpy(draw.standard_normal((100_000, 1), dtype=np.float32))
    for level in (0.1, 1.0):
        sigma = torch.full((100_000,), level)
        value = float(edm.loss(gaussian_denoiser, x0, None, sigma, noise))
        assert value == pytest.approx(1.0, rel=0.02)  # 1 / c_out^2 times the variance of x_0 given x, which is c_out^2


def test_training_levels_are_log_normal():
    sigma = EDM().times(generator(0, "levels"), 100_000)
    assert sigma.dtype == np.float32
    assert np.log(sigma).mean() == pytest.approx(-1.2, abs=0.02)
    assert np.log(sigma).std() == pytest.approx(1.2, abs=0.02)


@pytest.mark.parametrize(("rtol", "most"), [(1e-3, 3e-2), (1e-6, 3e-5)])
def test_a_rectified_flow_follows_the_known_path_of_a_gaussian(rtol, most):
    """v = E[x_0 - n | z_s]; from z at s = 0 the flow ends at MEAN + DEVIATION z."""

    def velocity(z, s, label):
        s = s.reshape(-1, 1)
        slope = (s * DEVIATION**2 - (1 - s)) / (s**2 * DEVIATION**2 + (1 - s) ** 2)
        return MEAN + slope * (z - s * MEAN)

    noise = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    end = RectifiedFlow().sample(velocity, noise, None, rtol=rtol, atol=rtol)
    assert float((end - (MEAN + DEVIATION * noise)).abs().max()) < most


def test_the_flows_loss_is_zero_for_the_true_direction():
    flow, noise = RectifiedFlow(), torch.randn(8, 2)
    x0 = torch.randn(8, 2)
    assert float(flow.loss(lambda z, s, label: x0 - noise, x0, None, torch.rand(8), noise)) == 0
    assert float(flow.loss(lambda z, s, label: noise - x0, x0, None, torch.rand(8), noise)) > 1


@pytest.mark.parametrize("kind", ["edm", "rectified_flow", "ddpm"])
def test_guidance_at_scale_1_is_the_conditional_model_bit_for_bit(kind):
    process, torch_source = build({"kind": kind}), torch.Generator().manual_seed(1)
    bias = torch.randn(4, 1, generator=torch_source)
    model = process.denoiser(lambda x, time, label: torch.tanh(x) * bias[label])
    x, label = torch.randn(6, 5, generator=torch_source), torch.arange(6) % 3
    options = {"edm": {"steps": 5}, "rectified_flow": {"rtol": 1e-3, "atol": 1e-3}, "ddpm": {"steps": 5}}[kind]
    guided = {s: ClassifierFree(kind="classifier_free").wrap(model, s, null=3) for s in (1, 2)}
    ends = {s: process.sample(m, x, label, **options) for s, m in guided.items()}
    assert torch.equal(ends[1], process.sample(model, x, label, **options))
    assert not torch.equal(ends[2], ends[1])


def picture() -> torch.Tensor:
    """One bright spot off the centre, (1, 1, 9, 9)."""
    image = torch.full((1, 1, 9, 9), -1.0)
    image[0, 0, 2, 3] = 1.0
    return image


def moved(**changes) -> torch.Tensor:
    names = ("flip_x", "flip_y", "scale", "angle", "axis", "stretch", "shift_x", "shift_y")
    a = torch.tensor([[changes.get(name, 0.0) for name in names]])
    return augment.apply(picture(), a)


def test_augmentations_move_an_image_as_their_numbers_say():
    assert torch.allclose(moved(), picture(), atol=1e-5)
    assert torch.allclose(moved(flip_x=1), picture().flip(3), atol=1e-5)
    assert torch.allclose(moved(flip_y=1), picture().flip(2), atol=1e-5)
    assert torch.allclose(moved(angle=math.pi / 2), picture().rot90(-1, (2, 3)), atol=1e-4)
    right = moved(shift_x=8 / 9)  # a ninth of the side: one pixel
    assert right[0, 0].argmax() == 2 * 9 + 4
    down = moved(shift_y=8 / 9)
    assert down[0, 0].argmax() == 3 * 9 + 3
    assert float((moved(scale=2.0) + 1).sum()) > 1.5 * float((picture() + 1).sum())
    assert float((moved(stretch=1.0) + 1).sum()) == pytest.approx(2.0, abs=0.6)  # an area stays


def test_the_network_is_told_nothing_of_images_left_alone():
    a = augment.draws(generator(0, "augment"), 4000, 0.12)
    told = augment.told(torch.from_numpy(a))
    assert told.shape == (4000, augment.TOLD)
    untouched = (a == 0).all(1)
    assert (told[torch.from_numpy(untouched)] == 0).all()
    assert untouched.mean() == pytest.approx(0.5 * 0.94 * 0.88**5, abs=0.03)  # mirrors show half the time
    assert (a[:, 0] != 0).mean() == pytest.approx(0.5, abs=0.03)
    for used in (a[:, 2] != 0, a[:, 3] != 0, a[:, 5] != 0, a[:, 7] != 0):
        assert used.mean() == pytest.approx(0.12, abs=0.02)
    assert (a[:, 4] != 0).mean() == pytest.approx(0.06, abs=0.02)
    assert (a[a[:, 4] != 0, 5] != 0).all()
