"""The closed form of a Gaussian mixture under diffusion: density, score, eps, class posterior, at any noise level.

If x_0 ~ sum_k w_k N(mu_k, C_k), then x_t ~ sum_k w_k N(sqrt(abar) mu_k, abar C_k + (1 - abar) I) (paper, Eq. 1). All
components at once are one matrix product: log(w_k N_k(x)) is linear in the features [x_i x_j (i <= j), x_i, 1].
Everything is float64; x (N, d), labels (N,) int64, `abar` a float: 1 is clean data.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from guidance_study.datasets import spec_of
from guidance_study.datasets.mixtures import Mixture
from guidance_study.execution.job import Input
from guidance_study.processes import Denoiser
from guidance_study.processes.ddpm import DDPM

ROWS = 256  # points at a time: times 2032 components in float64 that is 4 MiB, which a processor's cache holds


class Oracle:
    """Everything about a mixture that has a closed form."""

    def __init__(self, mixture: Mixture, device: torch.device | str = "cpu"):
        self.weights, self.means, self.variances, self.axes = (
            torch.tensor(part, dtype=torch.float64, device=device)
            for part in (mixture.weights, mixture.means, mixture.variances, mixture.axes)
        )
        if sorted(mixture.labels) != mixture.labels:
            raise ValueError("the components of a mixture must stand class by class")
        self.labels = torch.tensor(mixture.labels, device=device)
        self.classes = int(self.labels.max()) + 1
        self.sizes = self.labels.bincount().tolist()  # components of each class, one class after the other
        self.dimension = self.means.shape[1]
        self.pairs = torch.triu_indices(self.dimension, self.dimension, device=device)
        self._level = lru_cache(maxsize=2048)(self._computed)  # trajectories come back to the same noise levels

    def log_density(self, x: Tensor, abar: float = 1.0, label: Tensor | None = None) -> Tensor:
        """log p(x_t), (N,); with labels log p(x_t | c)."""
        logits = self.class_logits(x, abar)
        if label is None:
            return logits.logsumexp(1)
        return logits.gather(1, label[:, None])[:, 0] - self.log_prior[label]

    def mahalanobis(self, x: Tensor, label: Tensor) -> Tensor:
        """Distance of clean x (N, d) to the nearest component of its class, in standard deviations, (N,)."""
        found = torch.full((len(x),), torch.inf, dtype=torch.float64, device=x.device)
        parts = zip(self.labels.tolist(), self.means, self.variances, self.axes, strict=True)
        for of, mean, variance, axes in parts:
            rows = label == of
            found[rows] = torch.minimum(found[rows], (((x[rows] - mean) @ axes) ** 2 / variance).sum(1))
        return found.sqrt()

    @property
    def log_prior(self) -> Tensor:
        """log p(c), (classes,)."""
        return torch.stack([part.sum() for part in self.weights.split(self.sizes)]).log()

    def score(self, x: Tensor, abar: float = 1.0, label: Tensor | None = None) -> Tensor:
        """grad_x log p(x_t), or of log p(x_t | c), (N, d): sum_k r_k P_k (m_k - x), r the responsibilities."""
        _, moments = self._level(abar)

        def some(rows: Tensor) -> Tensor:
            joint = self._joint(x[rows], abar)
            share = (joint if label is None else self._of(joint, label[rows])).softmax(1) @ moments  # (n, d + d d)
            pull, precision = share[:, : self.dimension], share[:, self.dimension :]
            precision = precision.view(-1, self.dimension, self.dimension)
            return pull - torch.einsum("nij,nj->ni", precision, x[rows])

        return self._by_rows(some, torch.arange(len(x), device=x.device))

    def class_logits(self, x: Tensor, abar: float = 1.0) -> Tensor:
        """log p(x_t, c), (N, classes): logits of the exact posterior p(c | x_t); differentiable in x."""

        def some(x: Tensor) -> Tensor:
            return torch.stack([part.logsumexp(1) for part in self._joint(x, abar).split(self.sizes, 1)], 1)

        return self._by_rows(some, x)

    def posterior(self, x: Tensor, abar: float = 1.0) -> Tensor:
        """p(c | x_t), (N, classes)."""
        return self.class_logits(x, abar).softmax(1)

    def log_ratio(self, x: Tensor, abar: float = 1.0) -> Tensor:
        """log p(c = 1 | x_t) - log p(c = 0 | x_t), (N,); the decision boundary of two classes is where it is 0."""
        logits = self.class_logits(x, abar)
        return logits[:, 1] - logits[:, 0]

    def denoiser(self, process: DDPM, null: int | None = None) -> Denoiser:
        """eps(x, t, label) = -sqrt(1 - abar_t) grad log p(x_t | c), of the signature of a learned one.

        `label` None, or for a row equal to `null`, "no class", means the unconditional density. x may be float32.
        """

        def eps(x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
            out = torch.empty(x.shape, dtype=torch.float64, device=x.device)
            for step in t.unique().tolist():
                rows, abar = t == step, float(process.abar[step])
                for part, chosen in self._conditions(rows, label, null):
                    out[part] = -((1 - abar) ** 0.5) * self.score(x[part].double(), abar, chosen)
            return out.to(x.dtype)

        return eps

    def classifier(self, process: DDPM) -> Callable[[Tensor, Tensor], Tensor]:
        """logits(x, time), of the signature of a learned noisy classifier; `time` as `process.time` gives it."""

        def logits(x: Tensor, time: Tensor) -> Tensor:
            t = (time.double() * (process.timesteps / 1000)).round().long()
            out = torch.zeros(len(x), self.classes, dtype=torch.float64, device=x.device)
            for step in t.unique().tolist():
                rows = torch.nonzero(t == step)[:, 0]
                out = out.index_add(0, rows, self.class_logits(x[rows].double(), float(process.abar[step])))
            return out

        return logits

    def _conditions(self, rows: Tensor, label: Tensor | None, null: int | None):
        if label is None:
            return [(rows, None)]
        free = rows & (label == null) if null is not None else torch.zeros_like(rows)
        bound = rows & ~free
        parts = [(free, None)] if free.any() else []
        return [*parts, (bound, label[bound])] if bound.any() else parts

    def _by_rows(self, function, rows: Tensor) -> Tensor:
        return torch.cat([function(part) for part in rows.split(ROWS)])

    def _joint(self, x: Tensor, abar: float) -> Tensor:
        """log(w_k N(x; m_k, C_k)), (N, K)."""
        i, j = self.pairs
        ones = torch.ones(len(x), 1, dtype=x.dtype, device=x.device)
        return torch.cat([x[:, i] * x[:, j], x, ones], 1) @ self._level(abar)[0]

    def _of(self, joint: Tensor, label: Tensor) -> Tensor:
        return joint.masked_fill(self.labels[None, :] != label[:, None], -torch.inf)

    def _computed(self, abar: float) -> tuple[Tensor, Tensor]:
        """At a noise level: coefficients of the features (F, K), and [P_k m_k, P_k] (K, d + d d)."""
        mean = abar**0.5 * self.means
        variance = abar * self.variances + (1 - abar)
        precision = torch.einsum("kij,kj,klj->kil", self.axes, 1 / variance, self.axes)  # P_k = C_k^-1
        pull = torch.einsum("kij,kj->ki", precision, mean)
        constant = self.weights.log() - 0.5 * (pull * mean).sum(1) - 0.5 * (2 * torch.pi * variance).log().sum(1)
        i, j = self.pairs
        quadratic = torch.where(i == j, -0.5, -1.0) * precision[:, i, j]
        coefficients = torch.cat([quadratic, pull, constant[:, None]], 1).T.contiguous()
        return coefficients, torch.cat([pull, precision.flatten(1)], 1)


def oracle_of(dataset: Input, device: torch.device | str = "cpu") -> Oracle:
    """The oracle of a `dataset` artefact that was drawn from a known mixture."""
    return Oracle(spec_of(dataset).mixture(), device)
