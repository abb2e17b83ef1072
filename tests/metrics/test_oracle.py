"""The closed form of a mixture: against autograd, against Bayes' rule at every t, and against sampling with it."""

import math

import numpy as np
import pytest
import torch
from guidance_study.config import seams
from guidance_study.datasets.mixtures import Mixture
from guidance_study.metrics.oracle import Oracle
from guidance_study.metrics.oracle.boundary import Boundary
from guided import guided, process, rule, sample
from scipy.stats import ks_2samp

BAYES = {"fractal_a": 0.0005, "fractal_b": 0.043, "fractal_c": 0.104}  # as the configuration says
NOISE_LEVELS = (1.0, 0.9999, 0.9, 0.3, 1e-4)


def spec(kind: str, **fields):
    return seams.parse("datasets", {"kind": kind, **fields})


DATA = {"line": spec("gaussians", separation=0.5), "plane": spec("fractal", offset=-0.2)}


@pytest.fixture(scope="module")
def line() -> Oracle:
    return Oracle(DATA["line"].mixture())


@pytest.fixture(scope="module")
def plane() -> Oracle:
    return Oracle(DATA["plane"].mixture())


def drawn(data, n: int) -> torch.Tensor:
    """n points of each class, float64."""
    return torch.from_numpy(np.concatenate([data.draw("test", label, n) for label in (0, 1)])).double()


def near(oracle: Oracle, n: int = 40) -> torch.Tensor:
    """Points of the data, and points well outside."""
    points = drawn(DATA["line" if oracle.dimension == 1 else "plane"], n)
    return torch.cat([points, 2 * torch.from_numpy(np.random.default_rng(0).standard_normal(points.shape))])


def test_density_of_one_gaussian_is_the_formula():
    cos, sin, abar = math.cos(0.7), math.sin(0.7), 0.8
    oracle = Oracle(Mixture([1.0], [[0.3, -1.0]], [[0.5, 0.02]], [[[cos, -sin], [sin, cos]]], [0]))
    axes = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
    own = axes @ torch.diag(torch.tensor([0.5, 0.02], dtype=torch.float64)) @ axes.T
    covariance = abar * own + (1 - abar) * torch.eye(2, dtype=torch.float64)
    mean = abar**0.5 * torch.tensor([0.3, -1.0], dtype=torch.float64)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 2)))
    expected = torch.distributions.MultivariateNormal(mean, covariance).log_prob(x)
    assert (oracle.log_density(x, abar) - expected).abs().max() < 1e-10


@pytest.mark.parametrize("abar", NOISE_LEVELS)
@pytest.mark.parametrize("data", ["line", "plane"])
def test_score_is_the_gradient_of_the_log_density(data, abar, request):
    oracle = request.getfixturevalue(data)
    x = near(oracle)
    for label in (None, torch.arange(len(x)) % 2):
        point = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(oracle.log_density(point, abar, label).sum(), point)
        assert (oracle.score(x, abar, label) - gradient).abs().max() < 1e-8


@pytest.mark.parametrize(("data", "every"), [("line", 1), ("plane", 50)])
def test_bayes_rule_holds_at_every_step(data, every, request):
    """eps_uncond - sqrt(1 - abar_t) grad log p(c | x_t) = eps_cond, by the rule that guides learned models too."""
    oracle, ddpm = request.getfixturevalue(data), process()
    eps = oracle.denoiser(ddpm)
    by_bayes = guided(rule("classifier"), eps, 1.0, classifier=oracle.classifier(ddpm))
    x = near(oracle, 10)
    label = torch.arange(len(x)) % 2
    for step in [*range(0, ddpm.timesteps, every), ddpm.timesteps - 1]:
        t = torch.full((len(x),), step)
        assert (by_bayes(x, t, label) - eps(x, t, label)).abs().max() < 1e-10, step


def test_steps_may_differ_in_a_batch_and_no_class_has_a_row(plane):
    ddpm, x = process(), near(plane, 6)
    eps = plane.denoiser(ddpm, null=2)
    t, label = torch.arange(len(x)) * 40, torch.arange(len(x)) % 3
    together = eps(x, t, label)
    for i in range(len(x)):
        alone = plane.denoiser(ddpm)(x[i : i + 1], t[i : i + 1], None if label[i] == 2 else label[i : i + 1])
        assert (together[i] - alone[0]).abs().max() < 1e-10
    assert eps(x.float(), t, label).dtype == torch.float32


def test_posterior_is_bayes_rule_of_the_densities(plane):
    x = near(plane)
    joint = [plane.log_density(x, 0.9, torch.full((len(x),), c)) + plane.log_prior[c] for c in range(2)]
    assert (plane.posterior(x, 0.9) - torch.stack(joint, 1).softmax(1)).abs().max() < 1e-10


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_sampling_with_the_exact_score_gives_the_mixture(line, scale):
    """Kolmogorov and Smirnov's test of 4000 samples; a wrong schedule fails it by far."""
    n = 4000
    label = torch.arange(n) % 2
    source = np.random.default_rng(1)
    start = torch.from_numpy(source.standard_normal((n, 1)))

    def end(**claimed) -> np.ndarray:
        eps = guided(rule(), line.denoiser(process(**claimed), null=2), scale, null=2)
        return sample(eps, start, label, steps=120)[:, 0].numpy()

    parts = [DATA["line"].draw("test", c, n // 2)[:, 0].astype(np.float64) for c in (0, 1)]
    mine = (label == 0).numpy() if scale == 1 else np.full(n, True)
    real = parts[0] if scale == 1 else np.concatenate(parts)
    assert ks_2samp(end()[mine], real).pvalue > 0.01
    assert ks_2samp(end(beta_end=0.1)[mine], real).pvalue < 1e-4


def test_the_fractal_has_the_branches_and_gaussians_of_the_paper():
    fractal = spec("fractal", offset=0.02)
    mixture = fractal.mixture()
    assert len(fractal._branches(0.0)) == 127
    assert [mixture.labels.count(c) for c in (0, 1)] == [1016, 1016]
    assert sum(mixture.weights) == pytest.approx(1)


def test_children_begin_at_the_end_shorter_and_turned_to_both_sides():
    branches = spec("fractal", offset=0.0, splits=1)._branches(0.5)
    (start, length, angle, _), *children = branches
    end = (start[0] + length * math.cos(angle), start[1] + length * math.sin(angle))
    assert [child[0] for child in children] == [pytest.approx(end)] * 2
    assert [child[1] for child in children] == [pytest.approx(0.8 * length)] * 2
    assert [child[2] - angle for child in children] == [pytest.approx(0.7), pytest.approx(-0.7)]


@pytest.mark.parametrize("name", BAYES)
def test_bayes_error_is_what_the_configuration_says(name, parsed):
    data = parsed().datasets[name]
    error = (1 - Oracle(data.mixture()).posterior(drawn(data, 20000)).max(1).values).mean().item()
    assert error == pytest.approx(BAYES[name], rel=0.25 if BAYES[name] < 0.01 else 0.05)


def test_a_standardised_mixture_has_mean_0_and_deviation_1(plane):
    weights, labels = plane.weights.numpy(), plane.labels.numpy()
    assert weights[labels == 0].sum() == pytest.approx(0.5)
    x = drawn(DATA["plane"], 40000)
    assert x.mean(0).abs().max() < 0.02
    assert x.pow(2).mean().sqrt().item() == pytest.approx(1, abs=0.01)


def test_a_mixtures_arrays_are_of_its_classes_and_the_two_parts_differ():
    dataset = spec("gaussians", separation=1.0, train=300, held_out=200)
    arrays = dataset.load()
    assert arrays.train.shape == (600, 1)
    assert arrays.train.dtype == np.float32
    assert np.sign(arrays.train[:300]).mean() > 0.99
    assert np.sign(arrays.train[300:]).mean() < -0.99
    assert not np.isin(arrays.held_out, arrays.train).any()
    assert (dataset.load().train == arrays.train).all()


def test_the_boundary_of_two_gaussians_is_halfway():
    far = Boundary(Oracle(spec("gaussians", separation=1.0).mixture()))
    assert far.distance(np.array([[0.25], [-2.0], [-2.0]]), np.array([0, 1, 0])) == pytest.approx(
        [0.25, 2, -2], abs=1e-9
    )


def test_the_boundary_in_the_plane_is_the_perpendicular_bisector():
    eye = [[1.0, 0.0], [0.0, 1.0]]
    oracle = Oracle(Mixture([0.5, 0.5], [[1.0, 1.0], [-1.0, -1.0]], [[0.1, 0.1]] * 2, [eye] * 2, [0, 1]))
    x = np.array([[1.0, 1.0], [0.5, -0.5], [-2.0, -1.0]])
    labels = np.arange(len(x)) % 2
    side = np.where(oracle.log_ratio(torch.from_numpy(x)).numpy() > 0, 1, 0)
    expected = np.where(side == labels, 1, -1) * np.abs(x.sum(1)) / 2**0.5
    assert Boundary(oracle).distance(x, labels) == pytest.approx(expected, abs=2e-3)
