"""The postprocessing flow: Eq. (9)'s sign, and Dopri5 on equations with a known end."""

import math

import pytest
import torch
from guidance_study.processes.rectified_flow import loss, velocity
from guidance_study.processes.samplers.dopri5 import NonFiniteVelocity, StiffVelocity, per_sample_norm, solve

pytestmark = pytest.mark.numeric


def points(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_sign_of_equation_9():
    """The velocity that minimises the loss takes the generation to its neighbour, in one Euler step and by Dopri5."""
    generation, neighbour = points(5, 2), points(5, 2, seed=1)
    towards = lambda z, s, label: neighbour - generation  # noqa: E731
    away = lambda z, s, label: generation - neighbour  # noqa: E731
    s = torch.rand(5, dtype=torch.float64)
    assert float(loss(towards, generation, neighbour, None, s)) == 0
    assert float(loss(away, generation, neighbour, None, s)) > 0.1
    euler = generation + towards(generation, s, None)
    assert torch.allclose(euler, neighbour, atol=1e-14)
    assert torch.allclose(solve(towards, generation, None, 1e-6, 1e-6).end, neighbour, atol=1e-12)


def test_the_loss_sees_the_point_on_the_line():
    """z_s = (1 - s) x_hat + s y: the generation at s = 0, the neighbour at s = 1."""
    generation, neighbour = points(2, 1, 4, 4), points(2, 1, 4, 4, seed=1)
    seen = []
    loss(
        lambda z, s, label: seen.append(z) or z,
        generation,
        neighbour,
        None,
        torch.tensor([0.0, 1.0], dtype=torch.float64),
    )
    assert torch.equal(seen[0][0], generation[0])
    assert torch.equal(seen[0][1], neighbour[1])


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7])
def test_dopri5_on_exponential_growth(tolerance):
    """dz/ds = a z ends at exp(a) z(0)."""
    rates = torch.tensor([[-2.0], [0.0], [1.0], [3.0]], dtype=torch.float64)
    start = torch.ones(4, 1, dtype=torch.float64)
    solution = solve(lambda z, s, label: rates * z, start, None, tolerance, tolerance)
    assert torch.allclose(solution.end, rates.exp(), rtol=50 * tolerance)


def test_dopri5_with_time_and_label_in_the_field():
    """dz/ds = c (label) * 2 s ends at z(0) + c, for images as for points."""
    label = torch.tensor([0, 3, 5])

    def field(z, s, c):
        assert s.shape == (3,)
        return (c * 2 * s).reshape(3, 1, 1, 1).expand_as(z)

    solution = solve(field, torch.zeros(3, 1, 2, 2, dtype=torch.float64), label, 1e-8, 1e-8)
    assert torch.allclose(solution.end[:, 0, 0, 0], label.double(), atol=1e-8)


def test_nfe_counts_every_call():
    calls = []
    solution = solve(
        lambda z, s, label: calls.append(1) or torch.sin(9 * s)[:, None] * z, points(3, 2), None, 1e-6, 1e-6
    )
    assert solution.nfe == len(calls) > 7


def test_networks_get_time_between_0_and_1000():
    seen = []
    field = velocity(lambda z, time, label: seen.append(time) or z, output_scale=0.5)
    z = points(2, 3)
    assert torch.equal(field(z, torch.tensor([0.0, 1.0]), None), 0.5 * z)
    assert seen[0].tolist() == [0.0, 1000.0]


def spiral(z, s, label):
    """Sample 0 turns fast, all others stand nearly still: a crowd that hides it from a mean over all samples."""
    rate = torch.zeros(len(z), 1, dtype=z.dtype)
    rate[0] = 60.0
    return torch.cat([-rate * z[:, 1:], rate * z[:, :1]], dim=1)


def test_an_easy_crowd_does_not_hide_one_bad_sample():
    """The per-sample norm keeps sample 0 at its tolerance; torchdiffeq's default, a mean over the block, does not."""
    tolerance, start = 1e-5, torch.tensor([[1.0, 0.0]] * 2000, dtype=torch.float64)
    truth = torch.tensor([math.cos(60), math.sin(60)], dtype=torch.float64)
    ours = solve(spiral, start, None, tolerance, tolerance).end[0]
    mean = lambda error: error.pow(2).mean().sqrt()  # noqa: E731
    theirs = solve(spiral, start, None, tolerance, tolerance, norm=mean).end[0]
    alone = solve(spiral, start[:1], None, tolerance, tolerance).end[0]
    assert float((ours - alone).abs().max()) <= 10 * tolerance
    assert float((theirs - truth).abs().max()) > 10 * float((ours - truth).abs().max())


@pytest.mark.parametrize("tolerance", [1e-3, 1e-5])
def test_an_easy_sample_is_the_same_beside_a_stiff_one(tolerance):
    """Beside a sample that forces small steps an easy one changes by no more than ten times the tolerance."""

    def turning(z, s, label):
        rate = torch.tensor([1.0, 60.0], dtype=z.dtype)[label][:, None]
        return torch.cat([-rate * z[:, 1:], rate * z[:, :1]], dim=1)

    start = torch.tensor([[1.0, 0.0]] * 2, dtype=torch.float64)
    both = torch.tensor([0, 1])
    alone = solve(turning, start[:1], both[:1], tolerance, tolerance)
    beside = solve(turning, start, both, tolerance, tolerance)
    assert beside.nfe > 3 * alone.nfe
    assert float((beside.end[0] - alone.end[0]).abs().max()) <= 10 * tolerance
    default = solve(turning, start, both, tolerance, tolerance, norm=lambda e: e.pow(2).mean().sqrt())
    stiff = torch.tensor([math.cos(60), math.sin(60)], dtype=torch.float64)
    assert float((default.end[1] - stiff).abs().max()) > float((beside.end[1] - stiff).abs().max())


def test_the_norm_is_the_worst_samples_rms():
    error = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert math.isclose(float(per_sample_norm(error)), math.sqrt(12.5), rel_tol=1e-6)


def test_a_velocity_that_is_not_finite_names_evaluation_and_sample():
    def field(z, s, label):
        value = torch.ones_like(z)
        value[2] = torch.nan if float(s[0]) > 0 else 1.0
        return value

    with pytest.raises(NonFiniteVelocity, match=r"evaluation \d+ \(s = 0\.\d+\) for sample 1002"):
        solve(field, points(4, 2), None, 1e-5, 1e-5, first=1000)


def test_a_flow_that_blows_up_names_s_and_the_sample():
    start = torch.tensor([[0.0], [0.1], [1.0], [0.2]], dtype=torch.float64)
    with pytest.raises(StiffVelocity, match=r"gave up at s = 0\.0\d+ after \d+ evaluations .* sample is 7;"):
        solve(lambda z, s, label: 100 * z**2, start, None, 1e-6, 1e-6, first=5)


def test_an_empty_block_is_its_own_solution():
    assert solve(lambda *_: 1 / 0, points(0, 2), None, 1e-5, 1e-5).nfe == 0
