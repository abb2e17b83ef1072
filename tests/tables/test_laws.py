"""Guided Gaussians: the rules and samplers meet the laws, and mistaken ones do not."""

import math

import pytest
from conftest import TOP, read
from guidance_study.config import seams
from guidance_study.config.loading import ConfigError
from guidance_study.guidance.classifier_free import ClassifierFree
from guidance_study.tables.reporting import laws
from guided import process, rule, sampler

pytestmark = pytest.mark.numeric

SHIPPED = read(TOP / "config.yaml")["tables"]["table_laws"]
DDPM = {"kind": "ddpm", "timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02}


def measured(**changes):
    return laws.measured(seams.parse("tables", SHIPPED | changes), DDPM)


def test_every_rule_and_sampler_meets_its_law():
    rows = measured()
    assert len(rows) == 5 * (3 + 2 + 2 + 1)
    assert rows["met"].all(), rows[~rows["met"]]
    assert (rows["error"].abs() < 0.002).all()
    assert (rows.query("scale > 1")["full"] != rows.query("scale > 1")["law"]).all()


@pytest.mark.parametrize("wrong", [lambda s: s + 1, lambda s: s - 1, lambda s: 1 + 1.01 * (s - 1)])
def test_a_wrong_scale_is_found(monkeypatch, wrong):
    def start(self, batch):
        def guided(x, t, label, step):
            conditional, unconditional = batch.model.both(x, t, label)
            return unconditional + wrong(batch.scale) * (conditional - unconditional)

        return guided

    monkeypatch.setattr(ClassifierFree, "start", start)
    assert not measured(scales=[2, 5], guidance=[{"kind": "classifier_free"}])["met"].any()


def test_the_laws_are_those_that_are_printed():
    free, between = rule(), rule("interval", low=1.0, high=2.0)
    assert [laws.law(free, "ddim", s) for s in (1, 2, 3)] == pytest.approx([1, 1 / 2, 1 / 4])
    assert [laws.law(free, "ancestral", s) for s in (1, 2, 3)] == pytest.approx([1, 7 / 12, 31 / 80])
    assert laws.law(between, "dpm_solver", 2) == pytest.approx((2 / 3) / (5 / 6))
    assert laws.law(between, "ancestral", 2) is None
    assert laws.law(free, "predictor_corrector", 2) is None
    assert laws.law(rule("predictor_corrector"), "ddim", 2) is None
    assert laws.law(rule("predictor_corrector"), "predictor_corrector", 2) == pytest.approx(7 / 12)
    assert laws.law(rule("interval"), "ddim", 3) == pytest.approx(1 / 4)


def test_the_law_of_an_interval_is_the_end_of_its_flow():
    """By Runge-Kutta: of x over its factor, d log x / d sigma = sigma (s / (1 + sigma^2) + (1 - s) / (2 + sigma^2))."""
    from scipy.integrate import solve_ivp

    def rate(sigma, guided):
        scale = 3.0 if guided else 1.0
        return sigma * (scale / (1 + sigma**2) + (1 - scale) / (2 + sigma**2))

    top, found = 1e3, 0.0
    for low, high, guided in ((2.0, top, False), (0.5, 2.0, True), (0.0, 0.5, False)):
        found += solve_ivp(lambda s, _, g=guided: [rate(s, g)], (high, low), [0.0], rtol=1e-10, atol=1e-12).y[0, -1]
    started = 1 + top**2  # the variance there, of N(0, 1) and noise
    expected = math.exp(2 * found) * started
    assert laws.law(rule("interval", low=0.5, high=2.0), "ddim", 3.0) == pytest.approx(expected, rel=1e-5)


def test_the_variance_is_that_of_samples():
    """Of 40,000 chains that are drawn, to five standard errors."""
    import torch
    from guidance_study.guidance import BASE, Batch, Model
    from guidance_study.support.randomness import Draws

    ddpm, steps, n = process(), 20, 40_000
    expected = laws.variance(rule(), sampler("ancestral", steps=steps), 2.0, ddpm)

    def eps(x, t, label):
        abar, of = ddpm.abar[t][:, None], torch.where(label == 1, 2.0, 1.0)[:, None]
        return (1 - abar).sqrt() * x / (abar * of + 1 - abar)

    draws = Draws(0, "laws", 0, n)
    guided = rule().start(Batch(2.0, ddpm, {BASE: Model(eps, 1)}, draws, 1))
    ends = sampler("ancestral", steps=steps).sample(
        ddpm, guided, draws.normal("x", (1,)).double(), torch.zeros(n, dtype=torch.int64), draws
    )
    assert float(ends.square().mean()) == pytest.approx(expected, rel=5 * (2 / n) ** 0.5)


def test_mistakes_are_sentences(parsed):
    for changes, said in (
        ({"guidance": [{"kind": "cfg_plus_plus"}]}, "guidance.0..kind.*cfg_plus_plus.*allowed are classifier_free"),
        ({"samplers": [{"kind": "ddim", "steps": 999}]}, "samplers.0..steps.*999.*must be even"),
        ({"samplers": [{"kind": "ddim", "steps": 2000}]}, "samplers.0..steps.*2000.*at most 1000"),
        ({"samplers": [{"kind": "heun"}]}, "samplers.0..kind.*heun.*allowed are ddim"),
        ({"process": "edm"}, "process.*edm.*allowed are ddpm"),
    ):
        with pytest.raises(ConfigError, match=said):
            parsed({"tables": {"table_laws": changes}})
