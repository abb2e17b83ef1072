"""What the rules need of the plan: outputs as patterns, and inputs, recipes and threads by wildcards."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from guidance_study.config.stages import STAGES, TRAINING
from guidance_study.config.study import Study
from guidance_study.plan import resources
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import Artefact
from guidance_study.plan.sizes import images_of
from guidance_study.sources.rawfiles import export_places
from guidance_study.store.artefacts import RESULTS, SHARDS, Store
from guidance_study.store.index import write_index
from guidance_study.store.lock import Lock
from guidance_study.store.publishing import publish_all
from guidance_study.store.stale import problems, set_aside
from guidance_study.support.errors import StudyError
from guidance_study.support.settings import SETTINGS


class Rulebook:
    """The rules' side of a plan. Every rule has one wildcard, {artefact}: the last part of an address."""

    def __init__(self, study: Study):
        self.plan = Plan(study)
        self.threads = study.execution.threads
        self.environment = f"../../envs/{study.execution.environment}.yaml"  # as seen from workflow/rules
        self.results = RESULTS
        self._lock = None
        export_settings(study)
        export_places(self.plan.raw_files())

    @property
    def targets(self) -> dict[str, list[str]]:
        """Name of a table or figure -> the files of its artefact and the manifest that vouches for them."""
        return {name: [f"{RESULTS}/{f}" for f in (*a.files, a.manifest)] for name, a in self.plan.targets.items()}

    def outputs(self, stage: str) -> list[str]:
        """The output patterns of a stage: its manifest, then its files but the one that the report shows."""
        names = ("manifest.json", *(name for name in STAGES[stage].files if name != STAGES[stage].shown))
        return [f"{RESULTS}/{stage}/{{artefact}}/{name}" for name in names]

    def shown(self, stage: str) -> str:
        """The output pattern of the file that Snakemake's report shows."""
        return f"{RESULTS}/{stage}/{{artefact}}/{STAGES[stage].shown}"

    def log(self, stage: str) -> str:
        return f"{RESULTS}/logs/{stage}/{{artefact}}.log"

    def inputs(self, stage: str):
        """Input function: the manifests of what an artefact is made from, and its shards."""
        from snakemake.io import ancient  # times say nothing: a copied store would be made anew

        def files(wildcards) -> list[str]:
            artefact = self._at(stage, wildcards)
            made = [ancient(f"{RESULTS}/{a.manifest}") for a in artefact.inputs.values()]
            return made + [ancient(marker) for marker in self.shards(artefact)]

        return files

    def shards(self, artefact: Artefact) -> list[str]:
        """Markers of the shards of an artefact that is still to be made; [] where one job makes all of it."""
        execution, images = self.plan.study.execution, images_of(artefact)
        n = min(execution.shards, images // execution.shard_rows)
        if n < 2 or Path(RESULTS, artefact.manifest).is_file():
            return []
        return [f"{RESULTS}/{SHARDS}/{artefact.address}/{i}-of-{n}.json" for i in range(n)]

    def shard_inputs(self, wildcards) -> list[str]:
        """The inputs of the artefact that a shard is of."""
        from snakemake.io import ancient

        return [ancient(f"{RESULTS}/{a.manifest}") for a in self._at(wildcards.stage, wildcards).inputs.values()]

    def shard_recipe(self, wildcards) -> dict:
        """The recipe of the artefact that a shard is of."""
        return self._at(wildcards.stage, wildcards).recipe

    def recipe(self, stage: str):
        """Params function: the recipe, all that a job needs to know."""
        return lambda wildcards: self._at(stage, wildcards).recipe

    def mem_mb(self, stage: str | None = None):
        """Resource function: main memory. Without a stage, here and below: of a shard, which names it."""

        def megabytes(wildcards, attempt: int) -> int:
            artefact = self._at(stage or wildcards.stage, wildcards)
            return self._processes(artefact) * resources.mem_mb(artefact, attempt)

        return megabytes

    def _processes(self, artefact: Artefact) -> int:
        """Processes that a job trains in."""
        training = artefact.params.get("training") if artefact.stage in TRAINING else None
        return min(self.plan.study.execution.devices, training["batch"]) if training else 1

    def training_threads(self, stage: str):
        """Threads function of a training stage: those of each of its processes."""
        return lambda wildcards: self.threads * self._processes(self._at(stage, wildcards))

    def runtime(self, stage: str | None = None):
        """Resource function: minutes."""

        def minutes(wildcards, attempt: int) -> int:
            artefact = self._at(stage or wildcards.stage, wildcards)
            if stage and self.shards(artefact):
                return resources.MERGING * attempt
            return resources.runtime(artefact, attempt, int(wildcards.get("n", 1)))

        return minutes

    def gpus(self, stage: str | None = None):
        """Resource function: 1 where a GPU saves an hour, else 0."""

        def count(wildcards) -> int:
            artefact = self._at(stage or wildcards.stage, wildcards)
            return 0 if stage and self.shards(artefact) else self._processes(artefact) * resources.gpus(artefact)

        return count

    def _at(self, stage: str, wildcards) -> Artefact:
        return self.plan.at(f"{stage}/{wildcards.artefact}")

    def downloads(self) -> list[list]:
        """[path, SHA-256 or null, sources] of each raw file that is not there and that can be had."""
        files = [file for file in self.plan.raw_files() if file.urls and not file.path.exists()]
        return [[str(file.path), file.sha256, list(file.urls)] for file in files]

    def prepare(self, dry_run: bool) -> None:
        """Before the graph is built: set stale artefacts aside, show finished tables and figures under their names.

        A dry run only names what is stale.
        """
        root = Path(RESULTS)
        if dry_run:
            for problem in problems(Store(root), self.plan.artefacts):
                print(problem, file=sys.stderr)
        elif root.is_dir():
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(Lock(root))
                except StudyError:
                    return  # a run under way does it itself
                set_aside(Store(root), self.plan.artefacts)
                publish_all(self.plan, root)

    def start(self) -> None:
        """At the start of a run: take the lock and write the index. It ends with the process.

        The kernel drops the lock with its process, so that a killed run leaves none behind, as Snakemake's would.
        """
        self._lock = Lock(Path(RESULTS)).__enter__()
        write_index(self.plan, Path(RESULTS))

    def repeat(self, arguments: list[str]) -> None:
        """At the end of a run: where it gave other bytes to what others were made from, run again, to make those anew.

        `arguments`: the command line. What it forces is not forced again. Raises StudyError if that run fails.
        """
        if set_aside(Store(Path(RESULTS)), self.plan.artefacts):
            self._lock.__exit__()
            command = [sys.executable, "-m", "snakemake", *unforced(arguments[1:])]
            if "snakemake" not in Path(arguments[0]).parts[-2:] or subprocess.run(command).returncode:
                raise StudyError("artefacts that were made from other bytes are not made anew yet; run again")


def unforced(arguments: list[str]) -> list[str]:
    """Snakemake's command line without what makes it run jobs whose outputs are there."""
    kept, forced = [], False
    for word in arguments:
        name = word.partition("=")[0]
        if word.startswith("-"):
            forced = name in ("-R", "--forcerun")  # and the words that follow
        if not forced and name not in ("-f", "--force", "-F", "--forceall"):
            kept.append(word)
    return kept


def export_settings(study: Study) -> None:
    """Hand the execution settings to jobs through the environment: they change no result, so no recipe holds them."""
    for name, value in study.execution.plain().items():
        os.environ.setdefault(SETTINGS + name.upper(), str(value))
