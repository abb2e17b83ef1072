"""A table of the configuration, in four formats."""

from _job import run

run(snakemake)
