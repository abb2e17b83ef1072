"""Several processes train to the weights of one, and end together: with an error's sentence, or with a killed job."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from conftest import TOP
from guidance_study.config import seams
from guidance_study.execution import devices, distributed, jobs
from guidance_study.execution.distributed import Group
from guidance_study.plan.recipes import Artefact
from guidance_study.stages import denoiser
from guidance_study.store.artefacts import CHECKPOINTS, Store
from guidance_study.support.errors import StudyError
from guidance_study.training import loop as training
from rounding import rounding
from safetensors.torch import load_file
from test_training import TRAINING, problem

STEPS = 10
DATASET = Artefact("dataset", "points", {}, {})
DENOISER = Artefact(
    "denoiser", "mlp",
    {"process": {"kind": "ddpm", "timesteps": 50, "beta_start": 1e-4, "beta_end": 0.02, "prediction": "eps"},
     "network": {"kind": "residual_mlp", "width": 16, "blocks": 1, "fourier": 0, "fourier_sigma": 1.0,
                 "zero_init": False},
     "shape": [2], "class_rows": 4, "class_dropout": 0.1, "flip": False, "augment": 0.0, "weights": None, "seed": 0,
     "training": TRAINING | {"steps": STEPS, "batch_size": 9, "micro_batch": 2}},
    {"dataset": DATASET},
)  # fmt: skip
SLOW = """
import sys, time
from pathlib import Path
from guidance_study.execution import jobs
from guidance_study.support import progress
from guidance_study.stages import denoiser
from test_distributed import DENOISER

def slow(*key, made=denoiser.generator):
    time.sleep(0.3)
    return made(*key)

denoiser.generator = slow
jobs.run_job(DENOISER.recipe, DENOISER.address, Path(sys.argv[1]))
"""
FAULTS = {
    "sentence": lambda: raised(StudyError("the weights of x are missing")),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "mistake": lambda: raised(KeyError("x")),
    "its gpu": lambda: raised(StudyError(f"GPU {os.environ['CUDA_VISIBLE_DEVICES']}")),
}
child = distributed.child


def raised(error: Exception) -> None:
    raise error


def at_step_3(fault: str, made=denoiser.generator):
    """`denoiser.generator` that fails at step 3."""

    def faulty(seed, purpose, step):
        if step == 3:
            FAULTS[fault]()
        return made(seed, purpose, step)

    return faulty


def faulty_child(index, *arguments) -> None:
    """A process of rank 1 with the fault that the environment names."""
    denoiser.generator = at_step_3(os.environ["FAULT"])
    child(index, *arguments)


def child_of_other_code(index, stage, job, *arguments) -> None:
    """A process of rank 1 that finds other code in the files than rank 0 loaded."""
    child(index, stage, replace(job, code=job.code | {"stages/denoiser": "0" * 16}), *arguments)


def late_child(index, *arguments) -> None:
    """A process of rank 1 that runs a kind that no recipe names."""
    made = denoiser.generator

    def more(*key):
        seams.parse("guidance", {"kind": "classifier_free"})
        return made(*key)

    denoiser.generator = more
    child(index, *arguments)


def child_that_ends(*arguments) -> None:
    raise SystemExit(7)


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setenv("GUIDANCE_STUDY_DEVICE", "cpu")
    monkeypatch.setenv("GUIDANCE_STUDY_DEVICES", "2")
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def store(root: Path) -> Path:
    """A store with the finished dataset."""
    with Store(root).write(DATASET.address, lambda: {"recipe": DATASET.recipe, "facts": {}, "run": {}}) as out:
        draw = np.random.default_rng(0)
        for part, n in (("train", 50), ("judge", 0), ("held_out", 10)):
            np.save(out / f"{part}.npy", draw.standard_normal((n, 2), dtype=np.float32))
            np.save(out / f"{part}_labels.npy", draw.integers(3, size=n))
    return root


def trained(root: Path) -> tuple[dict, np.ndarray]:
    jobs.run_job(DENOISER.recipe, DENOISER.address, root)
    return load_file(root / DENOISER.address / "weights.safetensors"), np.load(root / DENOISER.address / "losses.npy")


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """Weights and losses of a training in one process."""
    with monkeypatch.context() as patch:
        patch.setenv("GUIDANCE_STUDY_DEVICES", "1")
        return trained(store(tmp_path / "alone"))


def same(these: tuple[dict, np.ndarray], those: tuple[dict, np.ndarray]) -> bool:
    """Up to rounding, which Adam enlarges: it divides a gradient by its own size, so a weight whose gradient is below
    the rounding of its sum over the batch moves by up to 2 lr at random. A share of about that rounding has such a
    gradient, and the steps' errors add up as roots of squares. Losses follow the weights.
    """
    weights = [torch.cat([state[name].flatten() for name in sorted(those[0])]) for state, _ in (these, those)]
    rate = TRAINING["lr"] * math.sqrt(2 * rounding(9) * STEPS)
    near = (weights[0] - weights[1]).square().mean().sqrt() < 2 * rate
    return bool(near) and np.allclose(these[1], those[1], rtol=10 * rate)


def test_two_processes_train_to_the_weights_of_one(tmp_path, alone, capfd):
    together = trained(store(tmp_path / "results"))
    assert same(together, alone)
    manifest = Store(tmp_path / "results").manifest(DENOISER.address)
    assert manifest["run"]["processes"] == 2
    assert "Traceback" not in capfd.readouterr().err
    assert not (tmp_path / "results" / CHECKPOINTS).exists()


@pytest.fixture
def slow(tmp_path):
    """A run of two processes, from a script that is not guarded against being run again, as Snakemake's are not."""
    script = tmp_path / "script.py"
    script.write_text(SLOW)
    folders = map(str, (TOP / "workflow", TOP / "tests", TOP / "tests" / "training", TOP / "tests" / "execution"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders), "TMPDIR": str(tmp_path)}
    root = store(tmp_path / "results")
    command = [sys.executable, str(script), str(root)]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert soon(lambda: any((root / CHECKPOINTS / DENOISER.address).glob("*/step-00000003.pt")), 600)  # a busy machine
    yield run, root
    run.kill()
    run.communicate()


def test_a_killed_run_of_two_leaves_no_process_and_goes_on_as_one(tmp_path, alone, slow, monkeypatch, capsys):
    run, root = slow
    children = children_of(run)
    assert sum("spawn_main" in (path / "cmdline").read_text() for path in children) == 1
    run.kill()
    run.wait()
    assert soon(lambda: not any(path.exists() for path in children), 5)
    assert {path.name for path in tmp_path.iterdir()} == {"alone", "results", "script.py"}
    monkeypatch.setenv("GUIDANCE_STUDY_DEVICES", "1")
    assert same(trained(root), alone)
    assert "going on after step" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_all_processes_ends_them_with_a_checkpoint_and_a_sentence(slow, number):
    run, root = slow
    children = children_of(run)
    os.killpg(run.pid, number)
    said = run.communicate(timeout=300)[1]
    found = re.search(rf"stopped by {number.name} after (\d+) of {STEPS} steps; run again to go on", said)
    assert found, said
    assert list((root / CHECKPOINTS / DENOISER.address).glob(f"*/step-{int(found[1]):08d}.pt"))
    assert soon(lambda: not any(path.exists() for path in children), 5)


def children_of(run: subprocess.Popen) -> list[Path]:
    return [Path("/proc", pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]


def soon(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("sentence", "the weights of x are missing"),
        ("killed", "process 1 of the 2 of this training was ended by signal 9"),
        ("mistake", "process 1 of the 2 of this training failed: KeyError: 'x'"),
        ("its gpu", "GPU 5"),
    ],
)
def test_the_error_of_another_process_is_the_jobs(tmp_path, monkeypatch, fault, sentence):
    root = store(tmp_path / "results")
    monkeypatch.setenv("FAULT", fault)
    monkeypatch.setattr(distributed, "child", faulty_child)
    if fault == "its gpu":
        monkeypatch.setattr(devices, "claim", lambda *_: ["3", "5"])
    with pytest.raises(StudyError, match=f"^{sentence}$"):
        trained(root)
    assert not list((root / DENOISER.address).glob("*"))
    assert distributed._place is None


def test_a_mistake_in_the_jobs_own_process_stays_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(denoiser, "generator", at_step_3("mistake"))
    monkeypatch.setattr(distributed, "NOTICE", 0.5)
    with pytest.raises(KeyError, match="x"):
        trained(store(tmp_path / "results"))
    assert not dist.is_initialized()


def test_a_process_that_ends_before_they_meet_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "child", child_that_ends)
    with pytest.raises(StudyError, match="process 1 of the 2 of this training ended with status 7"):
        trained(store(tmp_path / "results"))


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (child_of_other_code, "the code of 'stages/denoiser' changed after this run was planned"),
        (late_child, "'guidance/classifier_free' ran, but no recipe"),
    ],
)
def test_every_process_runs_the_code_of_the_plan(tmp_path, monkeypatch, other, sentence):
    monkeypatch.setattr(distributed, "child", other)
    root = store(tmp_path / "results")
    with pytest.raises(StudyError, match=sentence):
        trained(root)
    assert not list((root / DENOISER.address).glob("*"))


class Whole(Group):
    """One of two processes that both see all rows."""

    def share(self, batch):
        return slice(None)

    def add_up(self, tensors):
        pass

    def agreed(self, number, device):
        return number


def test_rank_0_alone_writes(tmp_path, monkeypatch):
    for rank in (0, 1):

        @contextmanager
        def joined(device, rank=rank):
            yield Whole(rank, 2)

        monkeypatch.setattr(training, "joined", joined)
        folder = tmp_path / str(rank)
        training.fit(*problem(), TRAINING | {"steps": 3}, seed=0, purpose="test", checkpoints=folder)
        assert folder.exists() == (rank == 0)
