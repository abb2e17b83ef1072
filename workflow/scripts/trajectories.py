"""Trajectories from the same noises, of learned and of exact parts."""

from _job import run

run(snakemake)
