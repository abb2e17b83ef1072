"""What every rule's script does: names in, one library call, names out. Snakemake puts this folder on sys.path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guidance_study import jobs, progress
from guidance_study.errors import StudyError
from guidance_study.store import RESULTS, SHARDS


def download(snakemake) -> None:
    """Get the files that a rule names; a StudyError becomes one sentence in the log."""
    from guidance_study.rawfiles import RawFile

    files = [RawFile(Path(path), sha256, tuple(urls)) for path, sha256, urls in snakemake.params.files]
    _logged(snakemake, lambda: [file.fetch() for file in files])


def run(snakemake) -> None:
    """Make the artefact that a rule's job asks for; a StudyError becomes one sentence in the log."""
    jobs.prepare_process(snakemake.threads)
    address = str(Path(snakemake.output[0]).parent.relative_to(RESULTS))
    shards = [Path(path) for path in snakemake.input if Path(path).is_relative_to(Path(RESULTS, SHARDS))]
    _logged(snakemake, lambda: jobs.run_job(snakemake.params.recipe, address, Path(RESULTS), shards))


def shard(snakemake) -> None:
    """Make the share of an artefact's rows that a rule's job asks for."""
    jobs.prepare_process(snakemake.threads)
    i, n = int(snakemake.wildcards.i), int(snakemake.wildcards.n)
    marker = Path(snakemake.output[0])
    _logged(snakemake, lambda: jobs.run_shard(snakemake.params.recipe, marker, i, n, Path(RESULTS)))


def _logged(snakemake, work) -> None:
    with progress.logging_to(Path(snakemake.log[0])):
        try:
            work()
        except StudyError as error:
            progress.log(f"error: {error}")
            sys.exit(1)
