"""Seconds and memory of sampling and of postprocessing."""

from _job import run

run(snakemake)
