"""Guidance rules on two classes N(+1, V) and N(-1, V), where scores and posteriors are known in closed form."""

from itertools import pairwise
from typing import ClassVar, Literal

import pytest
import torch
from guidance_study.guidance import Guidance, Model
from guidance_study.support.randomness import Draws
from guided import DDPM, VARIANCE, guided, noise, process, rule, sample, sampler

pytestmark = pytest.mark.numeric


def class_eps(x, t, label):
    """eps(x, t, c), for label None or 2 of both classes together."""
    abar = DDPM.abar[t][:, None]
    spread = abar * VARIANCE + 1 - abar
    each = [(x - abar.sqrt() * m) / spread for m in (1.0, -1.0)]
    logit = 2 * abar.sqrt() * x / spread  # log p(0|x) - log p(1|x)
    mixed = torch.sigmoid(logit) * each[0] + torch.sigmoid(-logit) * each[1]
    row = torch.full_like(t, 2) if label is None else label
    return (1 - abar).sqrt() * torch.stack([*each, mixed])[row, torch.arange(len(x))]


def exact_classifier(x, time):
    abar = DDPM.abar[time.round().long()][:, None]
    half = abar.sqrt() * x / (abar * VARIANCE + 1 - abar)
    return torch.cat([half, -half], dim=1)


BATCH = noise(50, 1), torch.arange(0, 1000, 20), torch.arange(50) % 2


def test_exact_classifier_guidance_at_scale_1_is_the_conditional_model():
    """Eq. (7) with exact parts and s = 1 equals eps(x, t, c) at every t."""
    model = guided(rule("classifier"), class_eps, 1.0, classifier=exact_classifier)
    assert torch.allclose(model(*BATCH), class_eps(*BATCH), atol=1e-10)


@pytest.mark.parametrize("scale", [0.0, 2.5, 7.0])
def test_both_guidances_agree_for_exact_parts_at_any_scale(scale):
    """Eq. (8)'s difference of scores is Eq. (7)'s classifier gradient, by Bayes."""
    free = guided(rule(), class_eps, scale, null=2)
    by_classifier = guided(rule("classifier"), class_eps, scale, classifier=exact_classifier)
    assert torch.allclose(free(*BATCH), by_classifier(*BATCH), atol=1e-10)


def test_gradient_factor_scales_the_classifier_alone():
    weak = guided(rule("classifier", gradient_factor=0.01), class_eps, 400.0, classifier=exact_classifier)
    plain = guided(rule("classifier"), class_eps, 4.0, classifier=exact_classifier)
    assert torch.allclose(weak(*BATCH), plain(*BATCH), atol=1e-10)


SHORT = {
    "ddpm": {"steps": 5},
    "edm": {"kind": "heun", "steps": 5},
    "rectified_flow": {"kind": "dopri5", "rtol": 1e-3, "atol": 1e-3},
}


@pytest.mark.parametrize("kind", SHORT)
def test_classifier_free_guidance_at_scale_1_is_the_conditional_model_bit_for_bit(kind):
    source, spec = torch.Generator().manual_seed(1), process(kind)
    bias = torch.randn(4, 1, generator=source)
    model = spec.denoiser(lambda x, time, label: torch.tanh(x) * bias[label])
    x, label = torch.randn(6, 5, generator=source), torch.arange(6) % 3
    ends = {s: sample(guided(rule(), model, s, null=3), x, label, spec, **SHORT[kind]) for s in (1, 2)}
    assert torch.equal(ends[1], sample(Model(model, 3), x, label, spec, **SHORT[kind]))
    assert not torch.equal(ends[2], ends[1])


def test_a_model_without_a_label_for_no_class_has_no_two_branches():
    with pytest.raises(ValueError, match="has no branch without a class"):
        guided(rule(), class_eps, 2.0)(*BATCH)


# Rules of the kinds that may come: what the seam must be able to carry.


class Rule(Guidance):
    short: ClassVar[str] = "test"
    title: ClassVar[str] = "test"
    conditional: ClassVar[bool] = True


def test_cfg_plus_plus_takes_the_noise_of_the_unconditional_model():
    """Its Alg. 2 written out; at 0 it is the unconditional model."""
    n, steps, scale, (start, _, label) = 50, 6, 0.6, BATCH
    found = sample(guided(rule("cfg_plus_plus"), class_eps, scale, null=2), start, label, steps=steps)
    x = start
    for t, following in pairwise(sampler(steps=steps).times(DDPM)):
        abar, after, at = DDPM.signal(t), DDPM.signal(following), torch.full((n,), t)
        free, conditional = class_eps(x, at, None), class_eps(x, at, label)
        x0 = (x - (1 - abar) ** 0.5 * (free + scale * (conditional - free))) / abar**0.5
        x = after**0.5 * x0 + (1 - after) ** 0.5 * free
    assert torch.allclose(found, x, atol=1e-9)
    alone = sample(guided(rule("cfg_plus_plus"), class_eps, 0.0, null=2), start, label, steps=steps)
    free = sample(Model(lambda x, t, label: class_eps(x, t, None), None), start, steps=steps)
    assert torch.allclose(alone, free, atol=1e-9)


def ends(name: str, scale: float, steps: int = 8, **options) -> torch.Tensor:
    start, _, label = BATCH
    return sample(guided(rule(name, **options), class_eps, scale, null=2), start, label, steps=steps)


def test_an_interval_of_all_levels_is_classifier_free_guidance_and_of_none_the_conditional_model():
    conditional = ends("classifier_free", 1.0)
    assert torch.equal(ends("interval", 3.0), ends("classifier_free", 3.0))
    assert torch.equal(ends("interval", 3.0, low=1e6), conditional)
    assert torch.equal(ends("interval", 1.0, low=0.1, high=2.0), conditional)
    within = ends("interval", 3.0, low=0.3, high=3.0)
    assert not torch.equal(within, conditional)
    assert not torch.equal(within, ends("classifier_free", 3.0))
    with pytest.raises(ValueError, match="low has the value 2: it must be below high, 1"):
        rule("interval", low=2.0, high=1.0)


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine", "falling"])
def test_a_weight_on_schedule_is_the_scale_on_average_and_neutral_at_1(shape):
    from guidance_study.processes.samplers import Step

    factors = [rule("weight_schedule", shape=shape).factor(Step(DDPM, i, 20, 0, None)) for i in range(20)]
    assert sum(factors) / 20 == pytest.approx(1)
    assert factors == sorted(factors, reverse=shape == "falling")
    assert torch.equal(ends("weight_schedule", 1.0, shape=shape), ends("classifier_free", 1.0))
    same = torch.equal(ends("weight_schedule", 3.0, shape=shape), ends("classifier_free", 3.0))
    assert same == (shape == "constant")


def test_autoguidance_of_gaussians_is_a_gaussian_of_the_powered_precision():
    """m_1 of variance V and m_0 of a wider one: at every level the score is s times one less s - 1 times the other."""

    def wide(x, t, label):
        abar = DDPM.abar[t][:, None]
        return (1 - abar).sqrt() * x / (abar * 2 + 1 - abar)

    x, t, label = BATCH
    model = guided(rule("autoguidance", guide="worse"), class_eps, 3.0, null=2, models={"guide": Model(wide, 2)})
    assert torch.allclose(model(x, t, label), 3 * class_eps(x, t, label) - 2 * wide(x, t, label), atol=1e-12)


class Weaker(Rule):
    """Autoguidance (Karras et al. 2024) in an interval of noise levels (Kynkaanniemi et al. 2024), its difference
    summed over steps as APG (Sadat et al. 2025) does: a second model, the level, state of each sample."""

    kind: Literal["weaker"]
    weaker: str | None = None
    roles: ClassVar = {"weaker": "models"}

    def start(self, batch):
        total = 0.0

        def guided(x, t, label, step):
            nonlocal total
            mine = batch.model(x, t, label)
            if not 0.1 < step.sigma < 10:
                return mine
            total = 0.5 * total + (mine - batch.models["weaker"](x, t, label))
            return mine + (batch.scale - 1) * total

        return guided


def test_a_rule_keeps_state_of_a_batch_uses_a_second_model_and_sees_the_level():
    seen, start = [], noise(4, 2)

    def one(x, t, label):
        seen.append(DDPM.sigma(int(t[0])))
        return torch.ones_like(x)

    parts = {"models": {"weaker": Model(lambda x, t, label: torch.zeros_like(x), None)}}
    spec = Weaker(kind="weaker", weaker="some_model")
    assert spec.parts() == {"weaker": "some_model"}
    found = sample(guided(spec, one, 3.0, **parts), start, torch.zeros(4, dtype=torch.long), steps=20)
    x, total = start / DDPM.signal(999) ** 0.5, 0.0  # x / a, which a step moves by (sigma' - sigma) e
    for sigma, after in zip(seen, [*seen[1:], 0.0], strict=True):
        inside = 0.1 < sigma < 10
        total = 0.5 * total + 1 if inside else total
        x = x + (after - sigma) * (1 + 2 * total * inside)
    assert any(0.1 < sigma < 10 for sigma in seen)
    assert torch.allclose(found, x, atol=1e-9)
    again = sample(guided(spec, one, 3.0, **parts), start, torch.zeros(4, dtype=torch.long), steps=20)
    assert torch.equal(again, found)  # a new batch starts from nothing


def test_what_a_rule_draws_is_each_samples_own():
    from guidance_study.guidance import BASE, Batch

    start, label = noise(300, 1), torch.arange(300) % 2

    def part(first: int, last: int) -> torch.Tensor:
        draws = Draws(0, "test", first, last)
        model = rule("independent_condition").start(Batch(2.0, DDPM, {BASE: Model(class_eps, 2)}, draws, 2))
        return sampler(steps=4).sample(DDPM, model, start[first:last], label[first:last], draws)

    assert torch.allclose(torch.cat([part(0, 7), part(7, 260), part(260, 300)]), part(0, 300), atol=1e-12)
