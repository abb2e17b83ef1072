"""Running one artefact of the plan: verified inputs in, one library call, an atomic artefact and its manifest out."""

import contextlib
import importlib
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from guidance_study import blas
from guidance_study.progress import log
from guidance_study.publishing import name_of, publish
from guidance_study.recipes import recipe_key
from guidance_study.store import CHECKPOINTS, Store

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
SETTINGS = "GUIDANCE_STUDY_"  # environment variables that carry the execution settings to jobs


@dataclass(frozen=True)
class Input:
    """A finished artefact as a stage sees it: its folder and the recipe that made it."""

    path: Path
    recipe: dict

    @property
    def params(self) -> dict:
        return self.recipe["params"]


@dataclass
class Job:
    """What a stage's `make(job)` gets: parameters, inputs by role, and the folder that its files go into."""

    params: dict
    inputs: dict[str, Input]
    out: Path
    checkpoints: Path
    facts: dict = field(default_factory=dict)  # deterministic numbers for the manifest: NFE, parameters, ...


def setting(name: str, default: float) -> float:
    """An execution setting: a number that cannot change results, from the environment of the run."""
    return type(default)(os.environ.get(SETTINGS + name.upper(), default))


def prepare_process(threads: int) -> None:
    """Fix the thread counts and the BLAS core before numpy, torch or faiss are imported."""
    blas.set_core()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products, if a GPU is used
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)


def run_job(recipe: dict, address: str, root: Path) -> None:
    """Make one artefact from its recipe and finished inputs; on failure nothing is left that looks finished."""
    store = Store(root)
    with store.exclusive(address):
        if not store.damages(address):
            log(f"{address} was finished by a job of an earlier, killed run")
        else:
            _make(recipe, address, store)
    if name_of(recipe):
        publish(store, address)
    store.drop_checkpoints(address)


def _make(recipe: dict, address: str, store: Store) -> None:
    inputs = {}
    for role, source in recipe["inputs"].items():
        path = store.open(source)
        inputs[role] = Input(path, store.manifest(source)["recipe"])
    began, started = time.monotonic(), time.time()
    forget_peak()
    facts: dict = {}

    def describe() -> dict:
        seconds = round(time.monotonic() - began, 3)
        return {"recipe": recipe, "key": recipe_key(recipe), "facts": facts, "run": _run(seconds, started)}

    log(f"making {address}")
    with store.write(address, describe) as out:
        stage = importlib.import_module(f"guidance_study.stages.{recipe['stage']}")
        stage.make(Job(recipe["params"], inputs, out, store.root / CHECKPOINTS / address, facts))
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
    }


def forget_peak() -> None:
    """Start the peak anew where the system can, for several artefacts made in one process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if (torch := _cuda()) is not None:
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float]:
    """Peak resident memory, MiB, since `forget_peak` (elsewhere than on Linux: of the process), and the GPU's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        unit = 1 << 20 if platform.system() == "Darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    found = {"peak_memory_mib": round(peak, 1)}
    if (torch := _cuda()) is not None:
        found["peak_device_memory_mib"] = round(torch.cuda.max_memory_allocated() / (1 << 20), 1)
    return found


def _cuda():
    """The torch module if this job computes on a GPU, else None; a stage that needed no torch had no device."""
    torch, models = sys.modules.get("torch"), sys.modules.get("guidance_study.models")
    return torch if torch and models and models.device().type == "cuda" else None


@cache
def _commit() -> str | None:
    """The commit of the code, marked -dirty where files of the project differ or are new; None outside a checkout."""

    def git(*arguments: str) -> str:
        here = Path(__file__).parents[1]
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
    device = torch.cuda.get_device_name() if (torch := _cuda()) is not None else "cpu"
    return {"host": platform.node(), "cpu": _cpu(), "cores": os.cpu_count(), "device": device}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
