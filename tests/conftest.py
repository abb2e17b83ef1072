"""Shared fixtures: the default configuration, and a copy of the project with a study small enough for tests."""

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[1]

import fuzz  # noqa: E402 - how many tries hypothesis makes
from guidance_study.config.loading import merge, parse, read  # noqa: E402
from guidance_study.execution import blas  # noqa: E402

blas.set_core()  # before any test imports numpy
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core for each worker
os.environ["GUIDANCE_STUDY_GPU_LOCK"] = "False"  # or a test would wait for this process's own GPU

TINY = {
    "models": {
        "digits_conditional": {"training": {"steps": 30, "batch_size": 32}},
        "digits_unconditional": {"training": {"steps": 30, "batch_size": 32}},
    },
    "networks": {"mlp": {"width": 32, "blocks": 1}, "mlp_flow": {"width": 32, "blocks": 1}},
    "classifiers": {
        "digits_noisy": {"training": {"steps": 30}},
        "digits_features": {"training": {"steps": 30}},
        "digits_evaluator": {"network": {"channels": 8, "features": 16}, "training": {"steps": 30}},
        "digits_second": {"training": {"steps": 30}},
    },
    "postprocessors": {"digits": {"training": {"steps": 30, "batch_size": 32}}},
    "experiments": {
        name: {
            "sampler": {"steps": 3},
            "pool": {"n": 90},
            "evaluation": {"scales": [2.5], "repeats": 3, "n": 60},
        }
        for name in ("digits_cfg", "digits_cg")
    },
    "figures": {"fig_digits_pca": {"n": 100}},
    "all": ["table_digits", "table_digits_nn", "table_digits_quality", "fig_digits_samples", "fig_digits_pca"],
}

SYNTHETIC = [
    "fig_1", "fig_2a", "fig_2b", "fig_3", "fig_4", "fig_5", "fig_s1", "fig_gap", "fig_scale",
    "table_1", "table_1d", "table_2d", "table_gap", "table_scale",
]  # fmt: skip
LEVELS = ("fractal_a_cg", "fractal_b_cg", "fractal_c_cg", "fractal_c_cfg")
LINE = ("gauss_far", "gauss_mid", "gauss_near")
PLANE = ("fractal_a_unconditional", "fractal_b_unconditional", "fractal_c_unconditional")
SHORT = {"training": {"steps": 20, "batch_size": 32}}
TINY_POINTS = {
    "datasets": {
        **{f"gauss_{m}": {"train": 200, "held_out": 200} for m in ("far", "mid", "near")},
        **{f"fractal_{level}": {"train": 200, "held_out": 200, "splits": 2} for level in "abc"},
    },
    "networks": {name: {"width": 16, "blocks": 1} for name in ("mlp_line", "mlp_plane")},
    "models": dict.fromkeys(
        [*LINE, *(f"{name}_{of}" for name in LINE for of in ("unconditional", "again")), *PLANE, "fractal_c"], SHORT
    ),
    "classifiers": {
        **{f"gauss_{m}_{kind}": SHORT for m in ("far", "mid", "near") for kind in ("nonlinear", "linear")},
        **{f"fractal_{level}_linear": SHORT for level in "abc"},
    },
    "postprocessors": {"fractal": SHORT},
    "experiments": {
        name: {"sampler": {"steps": 4}, "pool": {"n": 60}, "evaluation": {"n": 40}} for name in LEVELS
    },
    "trajectories": {
        name: {"sampler": {"steps": 5}, "n": 20} for name in ("gauss_far", "gauss_mid", "gauss_near", "fractal_c")
    },
    "all": SYNTHETIC,
}  # fmt: skip


def pytest_terminal_summary(terminalreporter):
    """What came of tries at random, where they were asked for."""
    if fuzz.MINUTES:
        terminalreporter.section("tries")
        for line in fuzz.told():
            terminalreporter.write_line(line)


@pytest.fixture
def default() -> dict:
    """The default configuration as a plain mapping that a test may change."""
    return copy.deepcopy(read(TOP / "config.yaml"))


@pytest.fixture
def tiny(default) -> dict:
    """The default configuration with everything small: seconds, not minutes."""
    return merge(default, TINY)


@pytest.fixture
def tiny_points(default) -> dict:
    """The same for the studies on a line and in the plane."""
    return merge(default, TINY_POINTS)


@pytest.fixture
def parsed(default):
    """`parsed(changes)`: the default configuration with changes merged in, validated."""
    return lambda changes=None: parse(merge(default, changes or {}))


@pytest.fixture
def project(tmp_path):
    """A function that lays a copy of the project, with a given configuration, into a fresh folder."""
    import yaml

    def make(config: dict, name: str = "project") -> Path:
        folder = tmp_path / name
        ignore = shutil.ignore_patterns("__pycache__")
        for part in ("workflow", "profiles", "config", "envs"):
            shutil.copytree(TOP / part, folder / part, ignore=ignore)
        shutil.copy(TOP / "Snakefile", folder)
        (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        return folder

    return make


@pytest.fixture
def snakemake():
    """Run Snakemake in a folder: snakemake(folder, *arguments) -> CompletedProcess, stdout and stderr together."""

    def call(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run(snakemake_command(*arguments), cwd=folder, env=environment(), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        assert not check or done.returncode == 0, done.stdout
        return done

    return call


def snakemake_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]


def command_line(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """python -m guidance_study in a project's folder."""
    command = [sys.executable, "-m", "guidance_study", *arguments]
    if arguments[0] in ("plan", "run"):
        command += ["--config", "config.yaml"]
    path = {"PYTHONPATH": str(folder / "workflow")}
    return subprocess.run(command, cwd=folder, env=environment() | path, text=True, capture_output=True)


def environment() -> dict:
    """The environment of a newcomer's shell: nothing of this process's settings, no path to the package."""
    return {k: v for k, v in os.environ.items() if not k.startswith("GUIDANCE_STUDY_") and k != "PYTHONPATH"}


def digests(folder: Path) -> dict[str, dict]:
    """Address -> digests of its files, for all finished artefacts below a project's results."""
    from guidance_study.store.artefacts import Store

    store = Store(folder / "results")
    return {address: store.manifest(address)["files"] for address in store.addresses()}
