"""The rectified flow from generations to their neighbours (Eq. 9)."""

from _job import run

run(snakemake)
