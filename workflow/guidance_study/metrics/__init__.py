"""Metrics: one file each, or one for a few numbers that are computed together. Plain floats out.

A class with a `kind` here is a metric: its bases (`base`) say what it needs to have. Files that define none help the
others. Nothing heavy is imported at the top: the configuration reads these files too. `oracle` and `sets`, which are
heavy, are packages, into which nobody looks for metrics.
"""
