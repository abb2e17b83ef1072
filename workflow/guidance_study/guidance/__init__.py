"""Guidance rules: one file each. A rule wraps a denoiser eps(x, t, label) into another of the same signature.

One convention for the scale s everywhere: s = 1 is unguided (the conditional model, or its Bayes decomposition).
"""
