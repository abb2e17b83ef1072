"""Images in the space of a pretrained network."""

from _job import run

run(snakemake)
