"""What a rule's script does: names in, one library call, names out; a StudyError becomes one sentence in the log."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from guidance_study.execution import jobs
from guidance_study.plan.resources import processes
from guidance_study.sources.rawfiles import RawFile, fetch_all
from guidance_study.store.artefacts import RESULTS
from guidance_study.support import progress
from guidance_study.support.errors import StudyError
from guidance_study.support.settings import setting


def download(snakemake: Any) -> None:
    """Get the files that a rule names."""
    files = [RawFile(Path(path), sha256, tuple(urls), most) for path, sha256, urls, most in snakemake.params.files]
    _logged(snakemake, lambda: fetch_all(files))


def run(snakemake: Any) -> None:
    """Make the artefact that a rule's job asks for."""
    recipe = snakemake.params.recipe
    jobs.prepare_process(max(1, snakemake.threads // processes(recipe, setting("devices", 1))))
    address = str(Path(snakemake.output[0]).parent.relative_to(RESULTS))
    shards = [Path(marker) for marker in snakemake.input.get("shards", [])]
    _logged(snakemake, lambda: jobs.run_job(recipe, address, Path(RESULTS), shards))


def shard(snakemake: Any) -> None:
    """Make the share of an artefact's rows that a rule's job asks for."""
    jobs.prepare_process(snakemake.threads)
    i, n = int(snakemake.wildcards.i), int(snakemake.wildcards.n)
    marker = Path(snakemake.output[0])
    _logged(snakemake, lambda: jobs.run_shard(snakemake.params.recipe, marker, i, n, Path(RESULTS)))


def _logged(snakemake: Any, work: Callable[[], None]) -> None:
    with progress.logging_to(Path(snakemake.log[0])):
        try:
            work()
        except StudyError as error:
            progress.log(f"error: {error}")
            sys.exit(1)
