"""What is proved of guidance, held against the pipeline's own rules and samplers with exact scores."""

import math
from itertools import pairwise

import pytest
import torch
from guidance_study.datasets.mixtures import Mixture
from guidance_study.metrics.oracle import Oracle
from guided import DDPM, guided, noise, rule, sample

pytestmark = pytest.mark.numeric

SCALES = (1, 2, 5)
CORNERS = [[2 * math.cos(2 * math.pi * k / 3), 2 * math.sin(2 * math.pi * k / 3)] for k in range(3)]


def unit_gaussians(means: list[list[float]]) -> Oracle:
    """Equally likely classes N(mean, I)."""
    n, d = len(means), len(means[0])
    identity = torch.eye(d).tolist()
    return Oracle(Mixture([1 / n] * n, means, [[1.0] * d] * n, [identity] * n, list(range(n))))


def ends(eps, scale: float, start: torch.Tensor, label: torch.Tensor, null: int, **options) -> torch.Tensor:
    return sample(guided(rule(), eps, scale, null=null, n=len(start)), start, label, **options)


@pytest.mark.parametrize("kind", ["ddim", "ancestral"])
def test_confidence_rises_for_every_noise(kind):
    """Of Gaussian classes of covariance I, symmetric about 0, p(c | x_0) grows with the scale whatever the noises,

    with fresh noise and without (Wu et al. 2024, Theoretical insights for diffusion guidance, Thms. 1 and 2).
    """
    oracle, start, label = unit_gaussians(CORNERS), noise(240, 2), torch.arange(240) % 3
    eps = oracle.denoiser(DDPM, null=3)
    found = [ends(eps, s, start, label, 3, kind=kind, steps=100) for s in SCALES]
    confidence = [oracle.posterior(x).gather(1, label[:, None]) for x in found]
    for less, more in pairwise(confidence):
        assert (more >= less).all()
        assert (more - less).mean() > 1e-3


def test_differential_entropy_falls():
    """h(x_0) = h(x_T) + E log |d x_0 / d x_T| falls with the scale (Wu et al. 2024, Thm. 3), from that of N(0, 1)."""
    oracle = unit_gaussians([[1.0], [-1.0]])
    eps = oracle.denoiser(DDPM, null=2)
    grid = torch.linspace(-6, 6, 2001, dtype=torch.float64)[:, None]
    density = torch.exp(-(grid[:, 0] ** 2) / 2)
    weight = (density[1:] + density[:-1]) / (density[1:] + density[:-1]).sum()
    label = torch.zeros(len(grid), dtype=torch.int64)
    entropy = []
    for scale in SCALES:
        x = ends(eps, scale, grid, label, 2, steps=100)[:, 0]
        slope = (x[1:] - x[:-1]) / (grid[1:, 0] - grid[:-1, 0])
        assert (slope > 0).all()
        entropy.append(float((weight * slope.log()).sum()) + 0.5 * math.log(2 * math.pi * math.e))
    assert entropy[0] == pytest.approx(0.5 * math.log(2 * math.pi * math.e), abs=0.03)
    assert all(less < more - 0.1 for more, less in pairwise(entropy))


def uniform_score(x: torch.Tensor, root: torch.Tensor, deviation: torch.Tensor, low: float, high: float):
    """(log density up to a constant, score) of root U(low, high) + deviation N(0, 1)."""
    above, below = (root * high - x) / deviation, (root * low - x) / deviation
    mirrored = above + below > 0  # so that both tails are small numbers, not differences of ones
    upper, lower = torch.where(mirrored, -below, above), torch.where(mirrored, -above, below)
    log_upper, log_lower = torch.special.log_ndtr(upper), torch.special.log_ndtr(lower)
    log_mass = log_upper + torch.log(-torch.expm1(log_lower - log_upper))
    log_normal = [-(z**2) / 2 - 0.5 * math.log(2 * math.pi) - log_mass for z in (above, below)]
    return log_mass, -(log_normal[0].exp() - log_normal[1].exp()) / deviation


def uniform_classes(x, t, label):
    """eps of U(1, 2) and U(-2, -1), equally likely; label 2: both."""
    abar = DDPM.abar[t][:, None]
    parts = [uniform_score(x, abar.sqrt(), (1 - abar).sqrt(), *edges) for edges in ((1.0, 2.0), (-2.0, -1.0))]
    share = torch.sigmoid(parts[0][0] - parts[1][0])
    each = [parts[0][1], parts[1][1], share * parts[0][1] + (1 - share) * parts[1][1]]
    return -(1 - abar).sqrt() * torch.stack(each)[label, torch.arange(len(x))]


def test_guidance_of_a_compact_class_goes_to_the_edge_of_its_support():
    """The edge away from the other class, and not beyond it (Chidambaram et al. 2024, What does guidance do?)."""
    start, label = noise(200, 1), torch.zeros(200, dtype=torch.int64)
    found = [ends(uniform_classes, s, start, label, 2, steps=1000) for s in (1, 5, 20)]
    assert found[0].mean() == pytest.approx(1.5, abs=0.1)  # the class itself: a mean of 200 has an error of 0.02
    for less, more in pairwise(found):
        assert more.mean() > less.mean()
        assert more.min() > less.min()
    assert (found[2] > 1.98).all()
    assert (torch.cat(found) < 2.0 + 1e-3).all()
