"""A base model, trained by Eq. (2)."""

from _job import run

run(snakemake)
