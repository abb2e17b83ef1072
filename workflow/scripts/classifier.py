"""A classifier: noisy for guidance (Eq. 7), clean for features and evaluation."""

from _job import run

run(snakemake)
