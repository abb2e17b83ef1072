"""A figure of the configuration, as .png and .pdf."""

from _job import run

run(snakemake)
