"""Rules that look at the gap of two branches: neutral values bit for bit, and what they do written out."""

import pytest
import torch
from guidance_study.guidance import Model
from guidance_study.support.errors import StudyError
from guided import DDPM, guided, noise, process, rule, sample

pytestmark = pytest.mark.numeric

BIAS = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None, None]  # of three classes and of no class
START, LABEL = noise(6, 2, 3), torch.arange(6) % 3
NEUTRAL = {
    "adaptive_projected": {"parallel": 1.0, "momentum": 0.0},
    "power_law": {"power": 0.0},
    "interval": {},
    "weight_schedule": {"shape": "constant"},
}


def model(x, t, label):
    """Something of x, its time and class."""
    return torch.tanh(x + BIAS[label]) + 0.1 * BIAS[label].square()


def ends(kind: str, scale: float, spec=DDPM, null: int | None = 3, m=model, **options) -> torch.Tensor:
    taken = {"ddpm": {"steps": 6}, "edm": {"kind": "heun", "steps": 6}}.get(
        spec.kind, {"kind": "dopri5", "rtol": 1e-3, "atol": 1e-3}
    )
    return sample(guided(rule(kind, **options), m, scale, null=null, n=6, process=spec), START, LABEL, spec, **taken)


@pytest.mark.parametrize("spec", ["ddpm", "edm", "rectified_flow"])
@pytest.mark.parametrize("kind", NEUTRAL)
def test_neutral_values_are_classifier_free_guidance(kind, spec):
    spec = process(spec)
    expected = ends("classifier_free", 3.0, spec)
    assert torch.allclose(ends(kind, 3.0, spec, **NEUTRAL[kind]), expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(expected, ends("classifier_free", 1.0, spec), atol=1e-3)


@pytest.mark.parametrize("kind", [*NEUTRAL, "independent_condition"])
def test_at_scale_1_every_rule_is_the_conditional_model_bit_for_bit(kind):
    assert torch.equal(ends(kind, 1.0), ends("classifier_free", 1.0))


@pytest.mark.parametrize("kind", ["adaptive_projected", "power_law", "independent_condition"])
def test_a_model_that_does_not_hear_its_class_is_not_changed(kind):
    deaf = lambda x, t, label: torch.tanh(x)  # noqa: E731
    assert torch.allclose(ends(kind, 5.0, m=deaf), ends("classifier_free", 1.0, m=deaf), atol=1e-12)


def soft(x, t, label):
    """`model`, told of its class by a number or by its vector."""
    bias = label[..., None] if label.is_floating_point() else BIAS[label]
    return torch.tanh(x + bias) + 0.1 * bias.square()


@pytest.mark.parametrize("spec", ["ddpm", "edm"])
@pytest.mark.parametrize("options", [{"noise_scale": 0.0}, {"tau_1": 1.0, "tau_2": 1.0, "noise_scale": 5.0}])
def test_condition_annealing_without_noise_is_classifier_free_guidance(options, spec):
    spec = process(spec)
    taken = {"ddpm": {"steps": 6}, "edm": {"kind": "heun", "steps": 6}}[spec.kind]
    found = sample(annealed(spec, **options), START, LABEL, spec, **taken)
    assert torch.equal(found, ends("classifier_free", 3.0, spec))
    assert not torch.equal(sample(annealed(spec, mixing=0.0), START, LABEL, spec, **taken), found)


def annealed(spec=DDPM, m=soft, table=BIAS[:, :, 0], scale=3.0, **options):
    from guidance_study.guidance import BASE

    models = {BASE: Model(m, 3, table)}
    return guided(rule("condition_annealing", **options), m, scale, null=3, n=6, process=spec, models=models)


def test_condition_annealing_drowns_the_class_and_keeps_its_vectors_mean_and_spread():
    """Told vectors, written out: gamma falls from 1 at tau_1 to 0 at tau_2; "no class" is never annealed."""
    from guidance_study.processes.samplers import Step
    from guidance_study.support.randomness import Draws

    table, told = noise(4, 8, seed=5), []
    m = lambda x, t, label: told.append(label) or x  # noqa: E731
    x, t = START, torch.full((6,), 300)
    for psi in (0.0, 1.0):
        model = annealed(m=m, table=table, tau_1=0.2, tau_2=0.8, noise_scale=0.5, mixing=psi)
        for index, (at, gamma) in enumerate(((999, 0.0), (799, 0.0), (499, 0.5), (199, 1.0), (0, 1.0))):
            told.clear()
            model(x, t, LABEL, Step(DDPM, index, 5, at, at - 1))
            y, n = table[LABEL], Draws(0, "test", 0, 6).normal(f"condition_annealing/{index}/0", (8,)).double()
            if gamma == 1:
                assert torch.equal(told[0], torch.cat([LABEL, torch.full_like(LABEL, 3)]))
                continue
            mine, free = told[0].chunk(2)
            assert torch.equal(free, table[3].expand(6, 8))
            expected = gamma**0.5 * y + 0.5 * (1 - gamma) ** 0.5 * n
            if psi == 1:
                assert torch.allclose(mine.mean(1), y.mean(1))
                assert torch.allclose(mine.std(1), y.std(1))
                expected = (expected - expected.mean(1, keepdim=True)) / expected.std(1, keepdim=True)
                mine = (mine - y.mean(1, keepdim=True)) / y.std(1, keepdim=True)
            assert torch.allclose(mine, expected, atol=1e-9)
    with pytest.raises(StudyError, match="needs a network with vectors"):
        annealed(table=None)


def test_a_step_is_as_far_from_the_data_as_its_process_or_its_number_says():
    """Diffusion time, however unevenly steps lie in it; EDM's noise levels have no end, so the steps are counted."""
    from guidance_study.processes.samplers import Step

    edm, flow = process("edm"), process("rectified_flow")
    assert [Step(DDPM, i, 3, t, t - 1).share for i, t in enumerate((999, 499, -1))] == [1, 0.5, 0]
    assert [Step(flow, 0, None, t, None).share for t in (0.0, 0.25, 1.0)] == [1, 0.75, 0]
    assert [Step(edm, i, 4, 1.0, 0.5, again).share for i, again in ((0, 0), (0, 1), (1, 0), (3, 0))] == [
        1,
        0.75,
        0.75,
        0.25,
    ]
    with pytest.raises(StudyError, match="not known"):
        _ = Step(edm, 0, None, 1.0, None).share


def test_processes_say_what_data_a_value_stands_for():
    """From x = a x_0 + b n, the true value of each denoiser gives x_0 back."""
    x0, n = noise(5, 2, 3, seed=1), noise(5, 2, 3, seed=2)
    t = torch.tensor([0, 10, 400, 800, 999])
    x = DDPM.noised(x0, t, n)
    assert torch.allclose(DDPM.data(n, x, t), x0, atol=1e-9)
    flow, s = process("rectified_flow"), torch.linspace(0, 1, 5, dtype=torch.float64)
    z = (1 - s)[:, None, None] * n + s[:, None, None] * x0
    assert torch.allclose(flow.data(x0 - n, z, s), x0, atol=1e-12)
    edm = process("edm")
    assert torch.equal(edm.data(x0, x, s), x0)
    for spec, at, time in ((DDPM, x, t), (flow, z, s), (edm, x, s)):
        moved = spec.data(n + 1, at, time) - spec.data(n, at, time)
        assert torch.allclose(moved, spec.slope(at, time) * torch.ones_like(at), atol=1e-9)


def test_projected_guidance_moves_x0_at_right_angles_and_no_farther_than_its_bound():
    x, t = noise(6, 2, 3, seed=3), torch.full((6,), 300)
    base = DDPM.data(model(x, t, LABEL), x, t)

    def moved(scale: float, **options) -> torch.Tensor:
        m = guided(rule("adaptive_projected", momentum=0.0, **options), model, scale, null=3, n=6)
        from guidance_study.processes.samplers import Step

        return DDPM.data(m(x, t, LABEL, Step(DDPM, 0, 10, 300, 200)), x, t) - base

    free = DDPM.data(guided(rule(), model, 3.0, null=3)(x, t, LABEL), x, t) - base
    right = moved(3.0)
    assert torch.allclose((right * base).sum((1, 2)), torch.zeros(6, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(free, moved(3.0, parallel=1.0), atol=1e-9)
    along = free - right
    assert torch.allclose((along * right).sum((1, 2)), torch.zeros(6, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(moved(3.0, parallel=0.25), right + 0.25 * along, atol=1e-9)
    size = (free / 2).flatten(1).norm(dim=1)  # of the update itself: the scale is 3
    bounded = moved(3.0, parallel=1.0, bound=float(size.median()))
    assert torch.allclose(bounded.flatten(1).norm(dim=1) / 2, size.clamp_max(size.median()), atol=1e-9)


def test_momentum_sums_what_earlier_steps_did():
    """Of a gap that is always 1 in eps, one that x_0 does not turn: u_i = k_i + beta u_(i-1), k_i the slope."""
    shift = lambda x, t, label: torch.where(label == 3, 0.0, 1.0).double().reshape(-1, 1, 1).expand_as(x)  # noqa: E731
    found = ends("adaptive_projected", 3.0, m=shift, parallel=1.0, momentum=-0.5)
    from itertools import pairwise

    from guided import sampler

    x, update = START, 0.0
    for t, following in pairwise(sampler(steps=6).times(DDPM)):
        slope = float(DDPM.slope(x, torch.tensor([t]))[0])
        update = slope - 0.5 * update
        eps = torch.ones_like(x) + 2 * update / slope
        abar, after = DDPM.signal(t), DDPM.signal(following)
        x = after**0.5 * (x - (1 - abar) ** 0.5 * eps) / abar**0.5 + (1 - after) ** 0.5 * eps
    assert torch.allclose(found, x, atol=1e-9)
    for spec in ("edm", "rectified_flow"):
        with pytest.raises(StudyError, match="'adaptive_projected' with a momentum needs a sampler of fixed steps"):
            ends("adaptive_projected", 3.0, process(spec))


def test_the_power_law_weighs_a_gap_by_its_size():
    x, t = noise(6, 2, 3, seed=4), torch.full((6,), 300)
    conditional, free = model(x, t, LABEL), model(x, t, torch.full_like(LABEL, 3))
    gap = conditional - free
    size = gap.square().mean((1, 2), keepdim=True).sqrt()
    for power in (-0.5, 0.9, 2.0):
        m = guided(rule("power_law", power=power), model, 3.0, null=3)
        assert torch.allclose(m(x, t, LABEL), conditional + 2 * size**power * gap, atol=1e-9)


def test_an_independent_condition_is_any_class_and_needs_no_model_without():
    """At s = 2, m = 2 m(c) - m(c'): what is subtracted is of one of the classes, and of each about equally often."""
    n = 3000
    x, t, label = torch.zeros(n, 1, 1, dtype=torch.float64), torch.full((n,), 300), torch.zeros(n, dtype=torch.int64)
    from guidance_study.guidance import BASE, Batch
    from guidance_study.processes.samplers import Step
    from guidance_study.support.randomness import Draws

    said = lambda x, t, label: label.double().reshape(-1, 1, 1)  # noqa: E731
    batch = Batch(2.0, DDPM, {BASE: Model(said, None)}, Draws(0, "test", 0, n), 3)
    drawn = -rule("independent_condition").start(batch)(x, t, label, Step(DDPM, 0, 10, 300, 200)).flatten()
    counts = torch.bincount(drawn.long(), minlength=3)
    assert (counts - n / 3).abs().max() < 5 * (n * 2 / 9) ** 0.5
    assert set(drawn.tolist()) == {0.0, 1.0, 2.0}


def test_predictor_corrector_guidance_predicts_by_one_model_and_corrects_by_another():
    from guidance_study.processes.samplers import Step

    x, t = noise(6, 2, 3, seed=5), torch.full((6,), 300)
    m = guided(rule("predictor_corrector"), model, 3.0, null=3)
    conditional, free = model(x, t, LABEL), model(x, t, torch.full_like(LABEL, 3))
    assert torch.equal(m(x, t, LABEL, Step(DDPM, 0, 10, 300, 200)), conditional)
    corrects = m(x, t, LABEL, Step(DDPM, 0, 10, 300, 200, evaluation=1))
    assert torch.allclose(corrects, free + 5 * (conditional - free), atol=1e-12)


@pytest.mark.parametrize("corrections", [1, 3])
def test_corrections_keep_a_gaussian(corrections):
    """Langevin steps by a Gaussian's exact score, written out: of x after each DDIM step but the last."""
    from itertools import pairwise

    from guidance_study.support.randomness import Draws
    from guided import exact_eps, sampler

    start, eps = noise(6, 1), exact_eps()
    spec = sampler("predictor_corrector", steps=5, corrections=corrections)
    assert spec.evaluations() == 5 + 4 * corrections
    found = spec.sample(DDPM, lambda x, t, label, step: eps(x, t, label), start, None, Draws(0, "test", 0, 6))
    x, draws = start, Draws(0, "test", 0, 6)
    for i, (t, following) in enumerate(pairwise(spec.times(DDPM))):
        abar, after = DDPM.signal(t), DDPM.signal(following)
        e = eps(x, torch.full((6,), t), None)
        x = after**0.5 * (x - (1 - abar) ** 0.5 * e) / abar**0.5 + (1 - after) ** 0.5 * e
        d = (1 - after) / (1 - abar) * (1 - abar / after)
        for j in range(corrections if following >= 0 else 0):
            score = -eps(x, torch.full((6,), following), None) / (1 - after) ** 0.5
            x = x + d / 2 * score + d**0.5 * draws.normal(f"step{i}/{j}", (1,)).double()
    assert torch.allclose(found, x, atol=1e-9)


def test_a_rule_of_one_sampler_s_update_is_refused_with_another(parsed):
    from guidance_study.config.loading import ConfigError

    for kind, allowed in (("cfg_plus_plus", "ddim"), ("predictor_corrector", "predictor_corrector")):
        with pytest.raises(ConfigError, match=f"sampler.kind.*dpm_solver.*allowed are {allowed}"):
            parsed({"experiments": {"digits_cfg": {"guidance": {"kind": kind}}}})
