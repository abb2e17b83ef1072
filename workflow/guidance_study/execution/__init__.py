"""One artefact made, by Snakemake's rules or without: jobs, shards, processes, devices, BLAS."""
