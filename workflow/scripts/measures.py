"""Metrics before and after postprocessing, and those of the controls."""

from _job import run

run(snakemake)
