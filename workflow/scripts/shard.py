"""A share of the rows of an artefact's large array."""

from _job import shard

shard(snakemake)
