"""Condition annealing: where it is classifier-free guidance, and what it tells a network written out."""

import pytest
import torch
from guidance_study.guidance import Model
from guidance_study.support.errors import StudyError
from guided import DDPM, SPECS, TAKEN, guided, noise, rule, sample

pytestmark = pytest.mark.numeric

BIAS = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None, None]  # of three classes and of no class
START, LABEL = noise(6, 2, 3), torch.arange(6) % 3


def soft(x, t, label):
    """Something of x and its class, which is told by a number or by its vector."""
    bias = label[..., None] if label.is_floating_point() else BIAS[label]
    return torch.tanh(x + bias) + 0.1 * bias.square()


@pytest.mark.parametrize("spec", SPECS)
def test_a_condition_that_is_bare_from_the_start_on_is_classifier_free_guidance(spec):
    spec = SPECS[spec]
    free = guided(rule(), soft, 3.0, null=3, n=6, process=spec)
    bare = annealed(spec, tau_1=1.0, tau_2=1.0, noise_scale=5.0)
    fading = annealed(spec, noise_scale=0.0, mixing=0.0)
    expected, found, faded = (sample(m, START, LABEL, spec, **TAKEN[spec.kind]) for m in (free, bare, fading))
    assert torch.equal(found, expected)
    assert not torch.allclose(faded, expected, atol=1e-3)


def test_without_noise_a_condition_fades_all_the_same():
    """Their Eq. (3) at s = 0, nothing restored: sqrt(gamma) y."""
    from guidance_study.processes.samplers import Step

    table, told = noise(4, 8, seed=5), []
    m = lambda x, t, label: told.append(label) or x  # noqa: E731
    model = annealed(m=m, table=table, tau_1=0.2, tau_2=0.8, noise_scale=0.0, mixing=0.0)
    for index, (at, gamma) in enumerate(((999, 0.0), (799, 0.0), (649, 0.25), (499, 0.5))):
        model(START, torch.full((6,), at), LABEL, Step(DDPM, index, 4, at, at - 1))
        mine, free = told.pop().chunk(2)
        assert torch.allclose(mine, gamma**0.5 * table[LABEL], atol=1e-12)
        assert torch.equal(free, table[3].expand(6, 8))


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
