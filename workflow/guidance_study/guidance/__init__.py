"""Guidance rules: one file each. A rule wraps a denoiser eps(x, t, label) into another of the same signature.

`short` names a rule in addresses, `title` in tables and figures ("... guidance"), `conditional` says whether it needs
a conditional (class-dropped) base model or an unconditional one.

One convention for the scale s everywhere: s = 1 is unguided (the conditional model, or its Bayes decomposition).
"""
