"""Mean and covariance of features."""

from _job import run

run(snakemake)
