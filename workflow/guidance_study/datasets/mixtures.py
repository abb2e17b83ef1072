"""Gaussian mixtures in plain numbers, no numpy: what a dataset is drawn from, and what `oracle.py` computes with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mixture:
    """p(x, c) = sum over components k of class c of weight_k N(x; mean_k, V_k diag(variance_k) V_k^T).

    weights (K,), sum 1; means (K, d); variances (K, d) along the component's own axes; axes (K, d, d), the axes as
    columns; labels (K,) in [0, classes). Nested lists of floats and ints.
    """

    weights: list
    means: list
    variances: list
    axes: list
    labels: list

    def standardised(self) -> "Mixture":
        """The same mixture moved to mean 0 and scaled, by one number, to a standard deviation of 1 (RMS over axes)."""
        dimension = len(self.means[0])
        mean = [sum(w * m[i] for w, m in zip(self.weights, self.means, strict=True)) for i in range(dimension)]
        second = sum(
            w * (sum((m[i] - mean[i]) ** 2 for i in range(dimension)) + sum(v))
            for w, m, v in zip(self.weights, self.means, self.variances, strict=True)
        )
        scale = (second / dimension) ** 0.5
        means = [[(m[i] - mean[i]) / scale for i in range(dimension)] for m in self.means]
        variances = [[value / scale**2 for value in v] for v in self.variances]
        return Mixture(self.weights, means, variances, self.axes, self.labels)
