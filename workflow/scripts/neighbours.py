"""Nearest real samples of the same class, for every generation of a pool."""

from _job import run

run(snakemake)
