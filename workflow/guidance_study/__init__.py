"""Classifier(-free) guidance from a classifier-centric perspective (arXiv 2503.10638): the science and the plan.

`guidance_study.load("digits_cfg").sample(64, scale=2.5, label=3)`: generations of a trained and guided model.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guidance_study.stages.loading import load as load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str):
    """`load` when it is asked for: importing the package costs nothing, and a plan needs no torch."""
    if name == "load":  # imported by its name: no stage runs it, and this page is a part of every stage's code
        return importlib.import_module("guidance_study.stages.loading").load
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
