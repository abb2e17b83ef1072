"""Guided generations (Eqs. 7 and 8)."""

from _job import run

run(snakemake)
