"""The closed form of a Gaussian mixture under diffusion: density, score, eps, class posterior, at any noise level.

If x_0 ~ sum_k w_k N(mu_k, C_k), then x_t ~ sum_k w_k N(sqrt(abar) mu_k, abar C_k + (1 - abar) I) (paper, Eq. 1). All
components at once are one matrix product: log(w_k N_k(x)) is linear in the features [x_i x_j (i <= j), x_i, 1].
Everything is float64; x (N, d), labels (N,) int64, `abar` a float: 1 is clean data.
"""

from functools import lru_cache

import torch
from torch import Tensor

from guidance_study.mixtures import Mixture
from guidance_study.processes.ddpm import DDPM, Denoiser

ROWS = 4096  # points times 2032 components in float64 are 64 MiB


class Oracle:
    """Everything about a mixture that has a closed form."""

    def __init__(self, mixture: Mixture, device="cpu"):
        self.weights, self.means, self.variances, self.axes = (
            torch.tensor(part, dtype=torch.float64, device=device)
            for part in (mixture.weights, mixture.means, mixture.variances, mixture.axes)
        )
        self.labels = torch.tensor(mixture.labels, device=device)
        self.classes = int(self.labels.max()) + 1
        self.dimension = self.means.shape[1]
        self.pairs = torch.triu_indices(self.dimension, self.dimension, device=device)
        self._level = lru_cache(maxsize=2048)(self._level)  # trajectories come back to the same noise levels

    def draw(self, source, n: int, label: int) -> Tensor:
        """n points (n, d) of class `label`, drawn by `source`, a numpy Generator."""
        mine = torch.nonzero(self.labels == label)[:, 0]
        share = self.weights[mine] / self.weights[mine].sum()
        k = mine[torch.from_numpy(source.choice(len(mine), size=n, p=share.cpu().numpy())).to(mine.device)]
        noise = torch.from_numpy(source.standard_normal((n, self.dimension))).to(self.means)
        return self.means[k] + torch.einsum("nij,nj->ni", self.axes[k], self.variances[k].sqrt() * noise)

    def log_density(self, x: Tensor, abar: float = 1.0, label: Tensor | None = None) -> Tensor:
        """log p(x_t), (N,); with labels log p(x_t | c)."""
        joint = self._joint(x, abar)
        if label is None:
            return joint.logsumexp(1)
        return self._of(joint, label).logsumexp(1) - self.log_prior[label]

    @property
    def log_prior(self) -> Tensor:
        """log p(c), (classes,)."""
        shares = torch.zeros(self.classes, dtype=torch.float64, device=self.weights.device)
        return shares.index_add(0, self.labels, self.weights).log()

    def score(self, x: Tensor, abar: float = 1.0, label: Tensor | None = None) -> Tensor:
        """grad_x log p(x_t), or of log p(x_t | c), (N, d): sum_k r_k P_k (m_k - x), r the responsibilities."""
        _, moments = self._level(abar)
        parts = []
        for rows in torch.arange(len(x), device=x.device).split(ROWS):
            joint = self._joint(x[rows], abar)
            share = (joint if label is None else self._of(joint, label[rows])).softmax(1) @ moments  # (n, d + d d)
            pull, precision = share[:, : self.dimension], share[:, self.dimension :]
            precision = precision.view(-1, self.dimension, self.dimension)
            parts.append(pull - torch.einsum("nij,nj->ni", precision, x[rows]))
        return torch.cat(parts) if parts else torch.zeros_like(x)

    def class_logits(self, x: Tensor, abar: float = 1.0) -> Tensor:
        """log p(x_t, c), (N, classes): logits of the exact posterior p(c | x_t); differentiable in x."""
        joint = self._joint(x, abar)
        return torch.stack([joint[:, self.labels == c].logsumexp(1) for c in range(self.classes)], 1)

    def posterior(self, x: Tensor, abar: float = 1.0) -> Tensor:
        """p(c | x_t), (N, classes), in chunks."""
        return torch.cat([self.class_logits(part, abar).softmax(1) for part in x.split(ROWS)])

    def log_ratio(self, x: Tensor, abar: float = 1.0) -> Tensor:
        """log p(c = 1 | x_t) - log p(c = 0 | x_t), (N,); the decision boundary of two classes is where it is 0."""
        logits = torch.cat([self.class_logits(part, abar) for part in x.split(ROWS)])
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

    def classifier(self, process: DDPM):
        """logits(x, time), of the signature of a learned noisy classifier; `time` as `process.time` gives it."""

        def logits(x: Tensor, time: Tensor) -> Tensor:
            t = (time.double() * (process.steps / 1000)).round().long()
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

    def _joint(self, x: Tensor, abar: float) -> Tensor:
        """log(w_k N(x; m_k, C_k)), (N, K)."""
        i, j = self.pairs
        ones = torch.ones(len(x), 1, dtype=x.dtype, device=x.device)
        return torch.cat([x[:, i] * x[:, j], x, ones], 1) @ self._level(abar)[0]

    def _of(self, joint: Tensor, label: Tensor) -> Tensor:
        return joint.masked_fill(self.labels[None, :] != label[:, None], -torch.inf)

    def _level(self, abar: float) -> tuple[Tensor, Tensor]:
        """At a noise level: coefficients of the features (F, K), and [P_k m_k, P_k] (K, d + d d)."""
        mean = abar**0.5 * self.means
        variance = abar * self.variances + (1 - abar)
        precision = torch.einsum("kij,kj,klj->kil", self.axes, 1 / variance, self.axes)  # P_k = C_k^-1
        pull = torch.einsum("kij,kj->ki", precision, mean)
        constant = (
            self.weights.log()
            - 0.5 * (pull * mean).sum(1)
            - 0.5 * (2 * torch.pi * variance).log().sum(1)
        )
        i, j = self.pairs
        quadratic = torch.where(i == j, -0.5, -1.0) * precision[:, i, j]
        coefficients = torch.cat([quadratic, pull, constant[:, None]], 1).T.contiguous()
        return coefficients, torch.cat([pull, precision.flatten(1)], 1)
