"""Rules at their neutral values under every process that they are for, and what they do written out."""

from itertools import product

import pytest
import torch
from guidance_study.config import seams
from guidance_study.guidance import Model
from guidance_study.support.errors import StudyError
from guided import DDPM, SPECS, TAKEN, guided, noise, process, rule, sample, sampler

pytestmark = pytest.mark.numeric

BIAS = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None, None]  # of three classes and of no class
START, LABEL = noise(6, 2, 3), torch.arange(6) % 3
NEUTRAL = {  # rule -> values at which it is classifier-free guidance
    "adaptive_projected": {"parallel": 1.0, "momentum": 0.0},
    "power_law": {"power": 0.0},
    "interval": {},
    "weight_schedule": {"shape": "constant"},
}
OWN = {"predictor_corrector": {"kind": "predictor_corrector", "steps": 6}}  # samplers of rules that are for no other


def taken(kind: str, spec) -> dict:
    """The sampler that a rule is tried with under a process."""
    return OWN.get(kind, TAKEN[spec.kind])


def unguided_at_1() -> list:
    """Every rule that is the conditional model at scale 1, with a sampler of every process that it is for."""
    found = []
    for kind, spec in product(seams.kinds("guidance"), SPECS.values()):
        options = {"classifier": {"base": "conditional"}, "autoguidance": {"guide": "worse"}}.get(kind, {})
        chosen, by = rule(kind, **options), sampler(**taken(kind, spec))
        if not chosen.unguided_at_1 or not isinstance(spec, by.fits) or (kind == "classifier" and not spec.discrete):
            continue
        if chosen.unfit(by) is not None:  # as it is; its neutral values may be for the sampler
            options = NEUTRAL.get(kind, {})
        if rule(kind, **options).unfit(by) is None:
            found.append((kind, spec.kind, options))
    return found


def model(x, t, label):
    """Something of x, its time and class."""
    return torch.tanh(x + BIAS[label]) + 0.1 * BIAS[label].square()


def ends(kind: str, scale: float, spec=DDPM, null: int | None = 3, m=model, **options) -> torch.Tensor:
    parts = {"models": {"guide": Model(m, null)}, "classifier": None}
    guided_model = guided(rule(kind, **options), m, scale, null=null, n=6, process=spec, **parts)
    return sample(guided_model, START, LABEL, spec, **taken(kind, spec))


def unguided(spec, **by) -> torch.Tensor:
    """Ends of the conditional model itself."""
    return sample(Model(model, None), START, LABEL, spec, **(by or TAKEN[spec.kind]))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("kind", NEUTRAL)
def test_neutral_values_are_classifier_free_guidance(kind, spec):
    spec = SPECS[spec]
    expected = ends("classifier_free", 3.0, spec)
    assert torch.allclose(ends(kind, 3.0, spec, **NEUTRAL[kind]), expected, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(expected, ends("classifier_free", 1.0, spec), atol=1e-3)


@pytest.mark.parametrize(("kind", "spec", "options"), unguided_at_1())
def test_at_scale_1_a_rule_is_the_conditional_model_bit_for_bit(kind, spec, options):
    """Of a model that knows nothing but classes."""
    spec = SPECS[spec]
    assert torch.equal(ends(kind, 1.0, spec, null=None, **options), unguided(spec, **taken(kind, spec)))


def test_which_rules_that_is_under_which_process():
    under = {name: sorted(kind for kind, spec, _ in unguided_at_1() if spec == name) for name in SPECS}
    everywhere = ["adaptive_projected", "autoguidance", "classifier_free", "interval", "power_law", "weight_schedule"]
    assert under["ddpm"] == sorted([*everywhere, "classifier", "independent_condition", "predictor_corrector"])
    assert under["edm"] == sorted([*everywhere, "independent_condition"])
    assert under["rectified_flow"] == everywhere


@pytest.mark.parametrize("spec", SPECS)
def test_an_interval_of_no_levels_is_the_conditional_model_bit_for_bit(spec):
    assert torch.equal(ends("interval", 3.0, SPECS[spec], low=1e6, high=1e7), unguided(SPECS[spec]))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("scale", [0.5, 2.0, 7.0])
def test_a_model_guided_by_itself_is_itself_bit_for_bit(scale, spec):
    assert torch.equal(ends("autoguidance", scale, SPECS[spec], guide="itself"), unguided(SPECS[spec]))


@pytest.mark.parametrize("kind", ["adaptive_projected", "power_law", "independent_condition"])
def test_a_model_that_does_not_hear_its_class_is_not_changed(kind):
    deaf = lambda x, t, label: torch.tanh(x)  # noqa: E731
    assert torch.allclose(ends(kind, 5.0, m=deaf), ends("classifier_free", 1.0, m=deaf), atol=1e-12)


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
