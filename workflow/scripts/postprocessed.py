"""Generations moved along the postprocessing flow by Dopri5."""

from _job import run

run(snakemake)
