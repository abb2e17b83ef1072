"""Figures: one file each. A Spec here says which artefacts a figure `needs` and how to `draw` it from them."""
