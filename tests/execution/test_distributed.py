"""Several processes train to the weights of one, and end together: with an error's sentence, or with a killed job."""

import json
import math
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import TOP
from guidance_study.execution import distributed, jobs
from guidance_study.execution.distributed import Group
from guidance_study.plan.recipes import Artefact
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
    {"process": {"kind": "ddpm", "steps": 50, "beta_start": 1e-4, "beta_end": 0.02, "prediction": "eps"},
     "network": {"kind": "residual_mlp", "width": 16, "blocks": 1, "fourier": 0, "fourier_sigma": 1.0,
                 "zero_init": False},
     "shape": [2], "rows": 4, "class_dropout": 0.1, "flip": False, "augment": 0.0, "weights": None, "seed": 0,
     "training": TRAINING | {"steps": STEPS, "batch": 9, "micro_batch": 2}},
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
FAULT = """
import os
from guidance_study.execution.distributed import child
from guidance_study.support.errors import StudyError
from guidance_study.stages import denoiser

def faulty(seed, purpose, step, made=denoiser.generator):
    if step == 3:
        {fault}
    return made(seed, purpose, step)

denoiser.generator = faulty
child()
"""


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
        for part, n in (("train", 50), ("held_out", 10)):
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


def test_a_killed_run_of_two_leaves_no_process_and_goes_on_as_one(tmp_path, alone, monkeypatch, capsys):
    root = store(tmp_path / "results")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(
            [str(TOP / "workflow"), str(TOP / "tests"), *map(str, (TOP / "tests").glob("[a-z]*/"))]
        ),
        "TMPDIR": str(tmp_path),
    }
    run = subprocess.Popen([sys.executable, "-c", SLOW, str(root)], env=environment, stderr=subprocess.DEVNULL)
    checkpoint = root / CHECKPOINTS / DENOISER.address / "step-00000003.pt"
    assert soon(checkpoint.exists, 600)  # a busy machine takes long to begin
    children = [int(pid) for pid in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()]
    run.kill()
    run.wait()
    assert len(children) == 1
    assert soon(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 5)
    assert not list(tmp_path.glob("guidance-study-*"))
    monkeypatch.setenv("GUIDANCE_STUDY_DEVICES", "1")
    assert same(trained(root), alone)
    assert "going on after step" in capsys.readouterr().err


def soon(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("raise StudyError('the weights of x are missing')", "^the weights of x are missing$"),
        ("os.kill(os.getpid(), 9)", "^process 1 of the 2 of this training was ended by signal 9$"),
    ],
)
def test_the_error_of_another_process_is_the_jobs(tmp_path, monkeypatch, fault, sentence):
    root = store(tmp_path / "results")
    monkeypatch.setattr(distributed, "COMMAND", [sys.executable, "-c", FAULT.format(fault=fault)])
    with pytest.raises(StudyError, match=sentence):
        trained(root)
    assert not list((root / DENOISER.address).glob("*"))
    assert distributed._place is None


def test_a_process_that_ends_before_they_meet_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "COMMAND", [sys.executable, "-c", "raise SystemExit(7)"])
    with pytest.raises(StudyError, match="process 1 of the 2 of this training ended with status 7"):
        trained(store(tmp_path / "results"))


def test_the_cause_is_named_rather_than_what_it_led_to(tmp_path):
    def failed(*ranks: int) -> str:
        children = {rank: SimpleNamespace(poll=lambda rank=rank: -9 if rank == 3 else 1) for rank in ranks}
        return str(distributed._Place(0, 6, tmp_path, children).failure())

    for rank, expected, sentence in ((1, False, "connection closed"), (2, False, "KeyError: 'x'"), (4, True, "no x")):
        error = {"expected": expected, "sentence": sentence, "time": 10 - rank}
        (tmp_path / f"error-{rank}").write_text(json.dumps(error))
    assert failed(1, 2) == "process 2 of the 6 of this training failed: KeyError: 'x'"  # the first in time
    assert failed(1, 2, 3) == "process 3 of the 6 of this training was ended by signal 9"
    assert failed(1, 2, 3, 4) == "no x"
    assert failed() == "None"


@pytest.mark.parametrize(("batch", "size"), [(9, 2), (8, 3), (3, 3), (128, 7)])
def test_shares_are_even_and_cover_the_batch(batch, size):
    shares = [range(batch)[Group(rank, size).share(batch)] for rank in range(size)]
    assert [row for share in shares for row in share] == list(range(batch))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_buckets_keep_order_and_size(monkeypatch):
    monkeypatch.setattr(distributed, "BUCKET", 10)
    tensors = [torch.zeros(n) for n in (4, 6, 1, 30, 2, 2)]
    assert [[len(t) for t in bucket] for bucket in distributed._buckets(tensors)] == [[4, 6], [1], [30], [2, 2]]


class Whole(Group):
    """One of two processes that both see all rows."""

    def share(self, batch):
        return slice(None)

    def add_up(self, tensors):
        pass

    def agreed(self, number, device):
        return number


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_processes_drop_different_units(tmp_path, monkeypatch, dropout):
    losses = []
    for rank in (0, 1):

        @contextmanager
        def joined(device, rank=rank):
            yield Whole(rank, 2)

        monkeypatch.setattr(training, "joined", joined)
        folder = tmp_path / str(rank)
        options = {"seed": 0, "purpose": "test", "checkpoints": folder}
        losses.append(training.fit(*problem(dropout=dropout), TRAINING | {"steps": 3}, **options)[1])
        assert folder.exists() == (rank == 0)  # rank 0 alone writes
    assert torch.equal(*losses) == (dropout == 0)
