"""How far samples are from a classifier's decision boundary: to first order, and by DeepFool."""

import numpy as np
import torch
from torch import Tensor, nn

from guidance_study.networks.models import batches, device

OVERSHOOT = 0.02  # of DeepFool's steps, as in its paper
LIMIT = 50  # its iterations at most, as in its paper
AT_ONCE = 512  # samples: each needs a gradient a class


def first_order(network: nn.Module, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Signed distances (N,) float64 to the nearest boundary of each sample's class, positive where the class wins.

    min over j != y of (f_y - f_j) / |grad (f_y - f_j)|_2, f the logits of a clean classifier at x (N, *shape) with
    labels y (N,): exact where f is linear (Elsayed et al. 2018, Large margin deep networks, Eq. 7).
    """

    def some(x: Tensor, y: Tensor) -> Tensor:
        logits, gradients = _linear(network, x)
        gap, slope = _against(logits, gradients, y)
        return (gap / slope.norm(dim=2)).min(1).values

    return _by_parts(some, x, labels)


def deepfool(network: nn.Module, x: np.ndarray, limit: int = LIMIT) -> np.ndarray:
    """Length (N,) float64 of the smallest change of each sample that DeepFool finds to change its predicted class.

    Moosavi-Dezfooli et al. 2016, Algorithm 2, in l2: go to the nearest boundary of the linearised classifier until the
    class changes; x (N, *shape). NaN where `limit` iterations do not suffice.
    """

    def some(x: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad():
            first = network(x).argmax(1)
        moved, done = torch.zeros_like(x), torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for _step in range(limit):
            logits, gradients = _linear(network, x + (1 + OVERSHOOT) * moved)
            done |= logits.argmax(1) != first
            if bool(done.all()):
                break
            gap, slope = _against(logits, gradients, first)
            size = slope.norm(dim=2)
            nearest = (gap / size).argmin(1, keepdim=True)  # l in the paper's notation
            rows = slope.gather(1, nearest[..., None].expand(-1, -1, slope.shape[2]))[:, 0]
            step = -(gap.gather(1, nearest) / size.gather(1, nearest) ** 2) * rows  # |f'| / |w'|^2 w'
            moved[~done] += step.view_as(moved)[~done].to(moved.dtype)
        return torch.where(done, moved.flatten(1).double().norm(dim=1), torch.nan)

    return _by_parts(some, x, np.zeros(len(x), dtype=np.int64))


def _linear(network: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (n, C) float64 and their gradients (n, C, D) float64 at x."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = network(x)
        rows = [torch.autograd.grad(f.sum(), x, retain_graph=True)[0] for f in logits.unbind(1)]
    return logits.detach().double(), torch.stack([row.flatten(1) for row in rows], 1).double()


def _against(logits: Tensor, gradients: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """f_y - f_j (n, C) and its gradient (n, C, D); infinite, with gradient 1, in the place of y itself."""
    own = label[:, None]
    gap = logits.gather(1, own) - logits
    slope = gradients.gather(1, own[..., None].expand(-1, -1, gradients.shape[2])) - gradients
    is_own = torch.zeros_like(gap, dtype=torch.bool).scatter(1, own, True)
    return gap.masked_fill(is_own, torch.inf), slope.masked_fill(is_own[..., None], 1.0)


def _by_parts(some, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """some(x, labels) over all samples, a batch at a time, (N,) float64."""
    found = [
        some(torch.from_numpy(np.array(x[a:b])).to(device()), torch.from_numpy(np.array(labels[a:b])).to(device()))
        for a, b in batches(len(x), most=AT_ONCE)
    ]
    return torch.cat(found).cpu().numpy()
