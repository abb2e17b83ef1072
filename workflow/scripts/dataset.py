"""Raw files, checked against their pinned digests, as arrays."""

from _job import run

run(snakemake)
