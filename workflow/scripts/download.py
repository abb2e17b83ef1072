"""Raw files and weights, from where they can be had."""

from _job import download

download(snakemake)
