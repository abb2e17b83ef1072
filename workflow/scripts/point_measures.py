"""What the closed form says of points, before and after postprocessing."""

from _job import run

run(snakemake)
