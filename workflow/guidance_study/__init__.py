"""Classifier(-free) guidance from a classifier-centric perspective (arXiv 2503.10638): the science and the plan."""

__version__ = "0.1.0"
