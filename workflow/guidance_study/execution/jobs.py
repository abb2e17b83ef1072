"""Running one artefact of the plan: verified inputs in, one library call, an atomic artefact and its manifest out."""

import importlib
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from guidance_study.execution import blas
from guidance_study.execution.job import Input, Job
from guidance_study.execution.loaded import as_planned
from guidance_study.execution.memory import cuda, forget_peak, peak_memory
from guidance_study.plan.recipes import recipe_key
from guidance_study.plan.resources import processes
from guidance_study.store.artefacts import CHECKPOINTS, Store, content
from guidance_study.store.publishing import name_of, publish
from guidance_study.support.progress import log
from guidance_study.support.settings import setting

PACKAGES = (
    "torch",
    "numpy",
    "scikit-learn",
    "torchdiffeq",
    "faiss-cpu",
    "faiss-gpu",
    "scipy",
    "pandas",
    "matplotlib",
)


def prepare_process(threads: int) -> None:
    """Fix the thread counts and the BLAS core before numpy, torch or faiss are imported."""
    blas.set_core()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products, if a GPU is used
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)


def run_shard(recipe: dict, marker: Path, i: int, n: int, root: Path) -> None:
    """Make the i-th of n shards of an artefact's large array: its rows in the file beside `marker`, then the marker."""
    from guidance_study.execution import sharding

    inputs = _inputs(recipe, Store(root))
    job = Job(recipe["params"], inputs, marker.parent, marker.parent, code=recipe["code"], parts=n)
    log(f"making shard {i} of {n} of {marker.parent.name}")
    try:
        with as_planned(job.units):
            stage = importlib.import_module(f"guidance_study.stages.{recipe['stage']}")
            sharding.shard(job, stage.work, i, n, marker)
    except BaseException:
        marker.unlink(missing_ok=True)
        raise


def run_job(recipe: dict, address: str, root: Path, shards: Iterable[Path] = ()) -> None:
    """Make one artefact from its recipe and finished inputs; on failure nothing is left that looks finished.

    `shards`: markers of shards that already made its large array.
    """
    store = Store(root)
    with store.exclusive(address):
        if not store.damages(address):
            log(f"{address} was finished meanwhile, by another job or one of a killed run")
        else:
            _make(recipe, address, store, list(shards))
    if name_of(recipe):
        publish(store, address)
    store.drop_checkpoints(address)


def _inputs(recipe: dict, store: Store) -> dict[str, Input]:
    """The finished artefacts that a recipe names, verified just now."""
    found = {}
    for role, source in recipe["inputs"].items():
        path, manifest = store.open(source), store.read(store.manifest_path(source))
        found[role] = Input(path, manifest["recipe"], content(manifest))
    return found


def _make(recipe: dict, address: str, store: Store, shards: list[Path]) -> None:
    inputs = _inputs(recipe, store)
    read = {recipe["inputs"][role]: source.content for role, source in inputs.items()}
    began, started = time.monotonic(), time.time()
    forget_peak()
    facts: dict = {}
    ran = {"processes": 1}

    def describe() -> dict:
        seconds = round(time.monotonic() - began, 3)
        made = {"recipe": recipe, "key": recipe_key(recipe), "inputs": read}
        return made | {"facts": facts, "run": _run(seconds, started) | ran}

    log(f"making {address}")
    with store.write(address, describe) as out:
        checkpoints = store.root / CHECKPOINTS / address / recipe_key(read)  # of other bytes read, others
        job = Job(recipe["params"], inputs, out, checkpoints, facts, shards, recipe["code"])
        with as_planned(job.units):
            if (wanted := processes(recipe, setting("devices", 1))) > 1:
                from guidance_study.execution import distributed

                ran["processes"] = distributed.make(recipe["stage"], job, wanted)
            else:
                importlib.import_module(f"guidance_study.stages.{recipe['stage']}").make(job)
    log(f"made {address} in {time.monotonic() - began:.1f} s")


def _run(seconds: float, started: float) -> dict:
    """Who, where and at what cost: the part of a manifest that two runs do not share."""
    return {
        "seconds": seconds,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        **peak_memory(),
        "commit": _commit(),
        "packages": _versions(),
        "hardware": _hardware(),
        **({"slurm_job": job} if (job := os.environ.get("SLURM_JOB_ID")) else {}),
    }


@cache
def _commit() -> str | None:
    """The commit of the code, marked -dirty where files of the project differ or are new; None outside a checkout."""

    def git(*arguments: str) -> str:
        here = Path(__file__).parents[2]
        done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@cache
def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _hardware() -> dict:
    device = torch.cuda.get_device_name() if (torch := cuda()) is not None else "cpu"
    return {"host": platform.node(), "cpu": processor(), "cores": os.cpu_count(), "device": device}


def processor() -> str:
    """The processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
