"""DDPM, its samplers and guidance against Gaussians whose scores and posteriors are known in closed form."""

import math

import pytest
import torch
from guidance_study.guidance.classifier import ClassifierGuidance
from guidance_study.guidance.classifier_free import ClassifierFree
from guidance_study.processes.ddpm import DDPM

pytestmark = pytest.mark.numeric

MEAN, VARIANCE = 0.7, 0.3


def exact_eps(process: DDPM, mean=MEAN, variance=VARIANCE):
    """eps(x, t) of data N(mean, variance): -sqrt(1 - abar) times the score of N(sqrt(abar) m, abar v + 1 - abar)."""

    def eps(x, t, label):
        abar = process.abar[t].reshape(-1, *[1] * (x.ndim - 1)).to(x)
        return (1 - abar).sqrt() * (x - abar.sqrt() * mean) / (abar * variance + 1 - abar)

    return eps


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_schedule_is_ddpms():
    process = DDPM()
    assert math.isclose(float(process.abar[0]), 1 - 1e-4)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    assert torch.allclose(process.abar, torch.cumprod(1 - betas, 0))
    assert process.grid(1000) == list(range(999, -1, -1))
    assert process.grid(3) == [999, 500, 0]  # 499.5 rounds to even
    assert process.grid(1) == [999]
    with pytest.raises(ValueError, match="1001"):
        process.grid(1001)


def test_ddim_follows_the_closed_form_path_of_a_gaussian():
    """The probability flow of a Gaussian keeps every sample's standard score; DDIM with 1000 steps comes close."""
    process = DDPM()
    x = noise(64, 2)
    end = process.sample(exact_eps(process), x, None, kind="ddim", steps=1000)
    last = process.abar[-1]
    score = (x - last.sqrt() * MEAN) / (last * VARIANCE + 1 - last).sqrt()
    assert torch.allclose(end, MEAN + VARIANCE**0.5 * score, atol=5e-3)


def test_ddim_step_is_exact_for_a_point_mass():
    """Data at one point: eps points at it exactly, and every number of steps ends there."""
    process = DDPM()
    for steps in (1, 7):
        end = process.sample(exact_eps(process, variance=0.0), noise(8, 3), None, kind="ddim", steps=steps)
        assert torch.allclose(end, torch.full_like(end, MEAN), atol=1e-12)


def test_ancestral_sampling_reproduces_the_gaussian():
    process = DDPM()
    n = 20_000
    end = process.sample(
        exact_eps(process),
        noise(n, 1),
        None,
        kind="ancestral",
        steps=1000,
        noise=lambda i: noise(n, 1, seed=i + 1),
    )
    assert abs(float(end.mean()) - MEAN) < 5 * math.sqrt(VARIANCE / n)
    assert abs(float(end.var()) / VARIANCE - 1) < 5 * math.sqrt(2 / n) + 5e-3


def test_clip_keeps_every_prediction_in_range():
    process = DDPM()
    end = process.sample(lambda x, t, c: -x, noise(16, 1, 4, 4), None, steps=5, clip=True)
    assert float(end.abs().max()) <= 1


def test_path_ends_at_the_data_and_names_its_steps():
    process = DDPM()
    path = list(process.path(exact_eps(process), noise(4, 1), None, steps=4))
    assert [t for t, _ in path] == [666, 333, 0, -1]
    assert torch.equal(path[-1][1], process.sample(exact_eps(process), noise(4, 1), None, steps=4))


def test_loss_is_zero_for_the_noise_itself_and_one_for_no_prediction():
    process = DDPM()
    x0, e, t = noise(512, 6), noise(512, 6, seed=1), torch.randint(0, 1000, (512,))
    assert float(process.loss(lambda *_: e, x0, None, t, e)) == 0
    assert abs(float(process.loss(lambda x, *_: torch.zeros_like(x), x0, None, t, e)) - 1) < 0.1


def test_v_prediction_is_the_same_eps():
    """A network that outputs v = sqrt(abar) eps - sqrt(1 - abar) x_0 gives back eps."""
    process = DDPM(prediction="v")
    x0, e, t = noise(32, 2), noise(32, 2, seed=1), torch.arange(0, 960, 30)
    v = process.sqrt_abar(t, x0) * e - process.sqrt_one_minus_abar(t, x0) * x0
    assert torch.allclose(process.denoiser(lambda *_: v)(process.noised(x0, t, e), t, None), e, atol=1e-12)


# Two classes N(+1, V) and N(-1, V): everything about guidance is closed form.


def class_eps(process):
    means = torch.tensor([1.0, -1.0], dtype=torch.float64)

    def eps(x, t, label):
        abar = process.abar[t][:, None]
        spread = abar * VARIANCE + 1 - abar
        each = [(x - abar.sqrt() * m) / spread for m in means]
        logit = 2 * abar.sqrt() * x / spread  # log p(0|x) - log p(1|x)
        mixed = torch.sigmoid(logit) * each[0] + torch.sigmoid(-logit) * each[1]
        kinds = torch.stack([*each, mixed])
        row = torch.full_like(t, 2) if label is None else label
        return (1 - abar).sqrt() * kinds[row, torch.arange(len(x))]

    return eps


def exact_classifier(process):
    def logits(x, time):
        abar = process.abar[time.round().long()][:, None]
        half = abar.sqrt() * x / (abar * VARIANCE + 1 - abar)
        return torch.cat([half, -half], dim=1)

    return logits


def test_exact_classifier_guidance_at_scale_1_is_the_conditional_model():
    """Eq. (7) with exact parts and s = 1 equals eps(x, t, c) at every t."""
    process = DDPM()
    eps = class_eps(process)
    guided = ClassifierGuidance(kind="classifier").wrap(eps, 1.0, classifier=exact_classifier(process), process=process)
    for t in range(0, 1000, 37):
        x, label = noise(10, 1, seed=t), torch.arange(10) % 2
        steps = torch.full((10,), t)
        assert torch.allclose(guided(x, steps, label), eps(x, steps, label), atol=1e-10)


def test_both_guidances_agree_for_exact_parts_at_any_scale():
    """Eq. (8)'s difference of scores is Eq. (7)'s classifier gradient, by Bayes."""
    process = DDPM()
    eps = class_eps(process)
    x, t, label = noise(50, 1), torch.arange(0, 1000, 20), torch.arange(50) % 2
    for scale in (0.0, 2.5, 7.0):
        free = ClassifierFree(kind="classifier_free").wrap(eps, scale, null=2)
        by_classifier = ClassifierGuidance(kind="classifier").wrap(
            eps, scale, classifier=exact_classifier(process), process=process
        )
        assert torch.allclose(free(x, t, label), by_classifier(x, t, label), atol=1e-10)


def test_classifier_free_guidance_at_scale_1_is_the_conditional_model_bit_for_bit():
    process = DDPM()
    eps = class_eps(process)
    x, t, label = noise(50, 1), torch.arange(0, 1000, 20), torch.arange(50) % 2
    guided = ClassifierFree(kind="classifier_free").wrap(eps, 1, null=2)
    assert torch.equal(guided(x, t, label), eps(x, t, label))


def test_gradient_factor_scales_the_classifier_alone():
    process = DDPM()
    eps, classifier = class_eps(process), exact_classifier(process)
    x, t, label = noise(50, 1), torch.arange(0, 1000, 20), torch.arange(50) % 2
    weak = ClassifierGuidance(kind="classifier", gradient_factor=0.01).wrap(
        eps, 400.0, classifier=classifier, process=process
    )
    plain = ClassifierGuidance(kind="classifier").wrap(eps, 4.0, classifier=classifier, process=process)
    assert torch.allclose(weak(x, t, label), plain(x, t, label), atol=1e-10)
