"""What the rules need of the plan: outputs as patterns, and inputs, recipes, words and resources by wildcards.

In a rule, an input has the name of the stage that makes it, and holds the manifests of all artefacts of that stage that
the job's own is made from. Which of them has which role is in the recipe.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from guidance_study.config.sentences import no_target
from guidance_study.config.stages import STAGES
from guidance_study.config.study import Study
from guidance_study.plan import resources
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import Artefact
from guidance_study.plan.sizes import rows
from guidance_study.sources.rawfiles import export_places
from guidance_study.store.artefacts import RESULTS, SHARDS, Store
from guidance_study.store.index import write_index
from guidance_study.store.lineage import lacking
from guidance_study.store.lock import Lock
from guidance_study.store.publishing import publish_all
from guidance_study.store.stale import problems, set_aside
from guidance_study.support.errors import StudyError
from guidance_study.support.settings import SETTINGS
from guidance_study.support.text import as_rst

REPEATS = SETTINGS + "REPEATS"  # the environment's sign of a run that repeats another


class Rulebook:
    """The rules' side of a plan."""

    # Snakemake prints it in place of a job's files: first what is made, then what is asked for.
    message = (
        "{params.about}\n    {rule}: threads={threads}, mem_mb={resources.mem_mb}, runtime={resources.runtime},"
        " gpu={resources.gpu}, log={log}"
    )

    def __init__(self, study: Study):
        self.plan = Plan(study)
        self.execution = study.execution
        self.environment = f"../../envs/{study.execution.environment}.yaml"  # as seen from workflow/rules
        self.results = RESULTS
        self.shard = ShardRule(self, "shard")
        self._lock = Lock(Path(RESULTS))  # taken by `start`
        export_settings(study)
        export_places(self.plan.raw_files())

    def stage(self, name: str) -> "StageRule":
        """What the rule of a stage says."""
        return StageRule(self, name)

    @property
    def targets(self) -> dict[str, list[str]]:
        """Name of a table or figure -> the files of its artefact and the manifest that vouches for them."""
        return {name: [f"{RESULTS}/{f}" for f in (*a.files, a.manifest)] for name, a in self.plan.targets.items()}

    def markers(self, artefact: Artefact) -> list[str]:
        """Markers of the shards of an artefact that is still to be made; [] where one job makes all of it."""
        n = min(self.execution.shards, rows(artefact) // self.execution.shard_rows) if artefact.spec.shards else 0
        if n < 2 or Path(RESULTS, artefact.manifest).is_file():
            return []
        return [f"{RESULTS}/{SHARDS}/{artefact.address}/{i}-of-{n}.json" for i in range(n)]

    def downloads(self) -> list[list]:
        """[path, SHA-256 or null, sources, `unpacked`] of each raw file that is not there and that can be had."""
        files = [file for file in self.plan.raw_files() if file.urls and not file.at.exists()]
        return [[str(file.path), file.sha256, list(file.urls), file.unpacked] for file in files]

    def guard(self, workflow: Any) -> None:
        """Have `prepare` run where Snakemake is about to execute: not for --summary or --unlock; changing nothing for
        -n or --touch. Only there it is known which of them it is.
        """
        from snakemake.exceptions import WorkflowError

        execute = workflow.execute

        def prepared(executor_plugin: Any, **others: Any) -> Any:
            settings = executor_plugin.common_settings
            try:
                targets = workflow.dag_settings.targets
                asked = {rule.name for rule in workflow.rules if not rule.has_wildcards()}
                for name in targets:
                    if name.isidentifier() and name not in asked:
                        raise StudyError(no_target(name, self.plan.targets))
                self.prepare(not (settings.dryrun_exec or settings.touch_exec), targets)
            except StudyError as error:
                raise WorkflowError(str(error)) from None
            return execute(executor_plugin=executor_plugin, **others)

        workflow.execute = prepared

    def prepare(self, changes: bool, targets: Iterable[str] = ()) -> None:
        """Before the graph is built: set stale artefacts aside, show finished tables and figures under their names.

        It says first what the targets lack from outside. Where the run `changes` nothing, as a dry run, it only names
        what is stale.
        """
        root = Path(RESULTS)
        named = [name for name in targets if name in self.plan.targets]
        wanted = named if targets and "all" not in targets else self.plan.study.all
        for line in lacking(self.plan, wanted, root):
            print(line, file=sys.stderr)
        if not changes:
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
        self._lock.__enter__()
        write_index(self.plan, Path(RESULTS))

    def repeat(self, arguments: list[str]) -> None:
        """At the end of a run: where it gave other bytes to what others were made from, run again, to make those anew.

        `arguments`: the command line. What it forces is not forced again. Raises StudyError if that run fails, or if
        this one is such a run already: bytes that differ each time would never end.
        """
        if not set_aside(Store(Path(RESULTS)), self.plan.artefacts):
            return
        if REPEATS in os.environ:
            raise StudyError("what was made anew gave other bytes once more; run again to make what was made from it")
        self._lock.__exit__()
        command = [sys.executable, "-P", str(Path(__file__).with_name("again.py")), *arguments[1:]]
        repeatable = "snakemake" in Path(arguments[0]).parts[-2:]
        if not repeatable or subprocess.run(command, env=os.environ | {REPEATS: "1"}).returncode:
            raise StudyError("artefacts that were made from other bytes are not made anew yet; run again")


class StageRule:
    """The rule that makes artefacts of a stage; {artefact}, its one wildcard, is the last part of an address."""

    def __init__(self, book: Rulebook, stage: str):
        self.book, self.stage = book, stage
        self.named: set[str] = set()  # stages among the rule's inputs
        self.log = f"{RESULTS}/logs/{stage}/{{artefact}}.log"
        self.resources = {"mem_mb": self.mem_mb, "runtime": self.runtime, "gpu": self.gpu}

    @property
    def outputs(self) -> list[str]:
        """The output patterns: the manifest, then the files but the one that Snakemake's report shows."""
        stage = STAGES[self.stage]
        names = ("manifest.json", *(name for name in stage.files if name != stage.shown))
        return [f"{RESULTS}/{self.stage}/{{artefact}}/{name}" for name in names]

    @property
    def shown(self) -> str:
        """The output pattern of the file that Snakemake's report shows."""
        return f"{RESULTS}/{self.stage}/{{artefact}}/{STAGES[self.stage].shown}"

    def artefact(self, wildcards: Any) -> Artefact:
        """The artefact that a job makes."""
        return self.book.plan.at(f"{self.stage}/{wildcards.artefact}")

    def made_from(self, stage: str) -> Callable:
        """Input function: the manifests of all artefacts of a stage that a job's artefact is made from."""
        from snakemake.io import ancient  # times say nothing: a copied store would be made anew

        self.named.add(stage)

        def manifests(wildcards) -> list[str]:
            inputs = self.artefact(wildcards).inputs.values()
            return [ancient(f"{RESULTS}/{a.manifest}") for a in inputs if a.stage == stage]

        return manifests

    @property
    def made_from_any(self) -> dict[str, Callable]:
        """The same for every stage, for rules whose artefacts may be made from anything: **rule.made_from_any."""
        return {stage: self.made_from(stage) for stage in STAGES}

    def shards(self, wildcards: Any) -> list[str]:
        """Input function: the markers of the shards that make an artefact's rows."""
        from snakemake.io import ancient

        return [ancient(marker) for marker in self.book.markers(self.artefact(wildcards))]

    def recipe(self, wildcards: Any) -> dict:
        """Params function: the recipe, all that a job needs to know; StudyError where the rule lacks an input."""
        artefact = self.artefact(wildcards)
        for made in artefact.inputs.values():
            if made.stage not in self.named:
                raise StudyError(f"rule '{self.stage}' has no input '{made.stage}', which '{artefact.address}' needs")
        return artefact.recipe

    def caption(self, wildcards: Any, output: Any) -> str:
        """A table's or figure's title as Snakemake's report takes it."""
        return as_rst(self.artefact(wildcards).params["spec"]["title"])

    def labels(self, wildcards: Any) -> dict[str, str]:
        """A table's or figure's row in Snakemake's report, whose file is called as all others are."""
        params = self.artefact(wildcards).params
        return {"name": params["name"], "shows": params["spec"]["title"]}

    def about(self, wildcards: Any, output: Any) -> str:
        """Params function: what a job makes, in a person's words. What takes `output` is no reason to run again."""
        return self.artefact(wildcards).about

    def threads(self, wildcards: Any) -> int:
        """Threads function: those of each process."""
        return self.book.execution.threads * self._processes(self.artefact(wildcards))

    def mem_mb(self, wildcards: Any, attempt: int) -> int:
        """Resource function: main memory."""
        artefact = self.artefact(wildcards)
        return self._processes(artefact) * resources.mem_mb(artefact, attempt)

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Resource function: minutes."""
        artefact = self.artefact(wildcards)
        return resources.MERGING * attempt if self.book.markers(artefact) else resources.runtime(artefact, attempt)

    def gpu(self, wildcards: Any) -> int:
        """Resource function: a GPU for each process where that saves an hour, else 0."""
        artefact = self.artefact(wildcards)
        return 0 if self.book.markers(artefact) else self._processes(artefact) * resources.gpus(artefact)

    def _processes(self, artefact: Artefact) -> int:
        return resources.processes(artefact.recipe, self.book.execution.devices)


class ShardRule(StageRule):
    """The rule that makes the {i}-th of {n} shares of an artefact's rows, of any stage that can be shared."""

    stages = "|".join(name for name, stage in STAGES.items() if stage.shards)  # what {stage} may be

    def __init__(self, book: Rulebook, stage: str):
        super().__init__(book, stage)
        self.marker = f"{RESULTS}/{SHARDS}/{{stage}}/{{artefact}}/{{i}}-of-{{n}}.json"
        self.log = f"{RESULTS}/logs/shard/{{stage}}/{{artefact}}/{{i}}-of-{{n}}.log"

    def artefact(self, wildcards: Any) -> Artefact:
        """The artefact that a job makes a share of."""
        return self.book.plan.at(f"{wildcards.stage}/{wildcards.artefact}")

    def about(self, wildcards: Any, output: Any) -> str:
        """Params function: as of other rules."""
        return f"share {int(wildcards.i) + 1} of {wildcards.n} of {self.artefact(wildcards).about}"

    def runtime(self, wildcards: Any, attempt: int) -> int:
        """Resource function: minutes of one share."""
        return resources.runtime(self.artefact(wildcards), attempt, int(wildcards.n))

    def gpu(self, wildcards: Any) -> int:
        """Resource function: 1 where a GPU saves an hour of the whole, else 0."""
        return resources.gpus(self.artefact(wildcards))


def export_settings(study: Study) -> None:
    """Hand the execution settings to jobs through the environment: they change no result, so no recipe holds them."""
    for name, value in study.execution.plain().items():
        os.environ.setdefault(SETTINGS + name.upper(), str(value))
