"""Metrics of generations before and after postprocessing and of the controls, or of trajectories."""

from _job import run

run(snakemake)
