"""A page of the configuration, in three formats."""

from _job import run

run(snakemake)
