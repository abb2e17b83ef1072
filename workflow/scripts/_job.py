"""What every rule's script does: names in, one library call, names out. Snakemake puts this folder on sys.path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guidance_study.execution import jobs
from guidance_study.plan.resources import processes
from guidance_study.store.artefacts import RESULTS
from guidance_study.support import progress
from guidance_study.support.errors import StudyError
from guidance_study.support.settings import setting


def download(snakemake) -> None:
    """Get the files that a rule names; a StudyError becomes one sentence in the log."""
    from guidance_study.sources.rawfiles import RawFile

    files = [RawFile(Path(path), sha256, tuple(urls)) for path, sha256, urls in snakemake.params.files]

    def work() -> None:
        failed = []
        for file in files:  # one that cannot be had stops no other
            try:
                file.fetch()
            except StudyError as error:
                failed.append(str(error))
        if failed:
            raise StudyError("; ".join(failed))

    _logged(snakemake, work)


def run(snakemake) -> None:
    """Make the artefact that a rule's job asks for; a StudyError becomes one sentence in the log."""
    recipe = snakemake.params.recipe
    jobs.prepare_process(max(1, snakemake.threads // processes(recipe, setting("devices", 1))))
    address = str(Path(snakemake.output[0]).parent.relative_to(RESULTS))
    shards = [Path(marker) for marker in snakemake.input.get("shards", [])]
    _logged(snakemake, lambda: jobs.run_job(recipe, address, Path(RESULTS), shards))


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
