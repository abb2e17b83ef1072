"""The training loop: the same weights after a kill, an average that is one, and losses that must be finite."""

import hashlib
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import TOP
from guidance_study.support.randomness import generator, torch_seed
from guidance_study.training import checkpoints
from guidance_study.training.loop import DivergedTraining, StoppedTraining, belonging, ema_decay, fit, learning_rate

pytestmark = pytest.mark.numeric

TRAINING = {"steps": 40, "batch_size": 8, "optimizer": "adamw", "lr": 1e-2, "weight_decay": 0.01,
            "lr_schedule": "cosine", "warmup": 5, "grad_clip": 1.0, "ema_decay": 0.9,
            "precision": "float32", "micro_batch": None}  # fmt: skip

# In float64: the order of sums over 8 rows is 8 eps in a gradient, which Adam magnifies by lr / 1e-8 at most a step.
BOUND = 8 * torch.finfo(torch.float64).eps * TRAINING["lr"] / 1e-8 * TRAINING["steps"]


class Killed(Exception):
    pass


def problem(killed_at: int | None = None, dropout: float = 0.0, precision: torch.dtype = torch.float32):
    """A small regression with keyed draws; `killed_at` stops it like a signal would."""
    with torch_seed(0, "weights"):
        network = torch.nn.Sequential(
            torch.nn.Linear(3, 16), torch.nn.Dropout(dropout), torch.nn.Tanh(), torch.nn.Linear(16, 1)
        ).to(precision)

    def draws(step: int) -> tuple[torch.Tensor, ...]:
        if step == killed_at:
            raise Killed
        x = torch.from_numpy(generator(0, "data", step).standard_normal((8, 3), dtype="float32"))
        return x.to(precision), torch.full((8,), step)

    def loss(x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return (network(x) - x.sum(1, keepdim=True)).pow(2).mean()

    return network, draws, loss


def train(folder, training=TRAINING, **options):
    return fit(*problem(**options), training, seed=0, purpose="test", checkpoints=folder)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_killed_training_goes_on_to_the_same_weights_bit_for_bit(tmp_path, monkeypatch, dropout):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    whole, losses = train(tmp_path / "a", dropout=dropout)
    for step in (3, 17, 18, 39):
        with pytest.raises(Killed):
            train(tmp_path / "b", killed_at=step, dropout=dropout)
        assert len(list((tmp_path / "b").iterdir())) <= 2
    resumed, again = train(tmp_path / "b", dropout=dropout)
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def flipped(path, at: float) -> None:
    """Flip one bit at a share of a file's length."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def without(path, key: str) -> None:
    """A checkpoint whose bytes are as they were written, but that lacks a part."""
    state = checkpoints.read(path, torch.device("cpu"))
    checkpoints.write(path, {name: value for name, value in state.items() if name != key})


def foldered(path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


DAMAGES = {
    **{f"a bit flipped at {at:.0%}": lambda path, at=at: flipped(path, at) for at in np.linspace(0, 1, 9)},
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "shorter than a digest": lambda path: path.write_bytes(b"short"),
    "no optimizer": lambda path: without(path, "optimizer"),
    "no name of its training": lambda path: without(path, "belongs"),
    "no mapping": lambda path: checkpoints.write(path, [1, 2]),
    "not torch's": lambda path: path.write_bytes(hashlib.sha256(b"x").digest() + b"x"),
    "a folder": foldered,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    whole, losses = train(tmp_path / "a")
    with pytest.raises(Killed):
        train(tmp_path / "b", killed_at=20)
    DAMAGES[damage](tmp_path / "b" / "step-00000020.pt")
    capsys.readouterr()
    resumed, again = train(tmp_path / "b")
    said = capsys.readouterr().err
    assert re.search(r"checkpoint '.*step-00000020\.pt' (cannot be used|is not one of this training)", said)
    assert "going on after step 19 of 40" in said
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["step-00000039.pt", "step-00000040.pt"]


SIGNALLED = """
import sys, time
from pathlib import Path
from guidance_study.support.errors import StudyError
from guidance_study.training.loop import fit
from test_training import TRAINING, problem

network, draws, loss = problem()
folder, seconds = Path(sys.argv[1]), float(sys.argv[2])

def counted(step):
    print(step, flush=True)
    time.sleep(seconds)
    return draws(step)

try:
    fit(network, counted, loss, TRAINING, seed=0, purpose="test", checkpoints=folder)
except StudyError as error:
    sys.exit(f"error: {error}")
"""


def signalled(folder, seconds: float) -> subprocess.Popen:
    """A training of its own process that prints each step that it computes."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TOP / "workflow"), str(TOP / "tests"), str(TOP / "tests/training")])
    }
    command = [sys.executable, "-c", SIGNALLED, str(folder), str(seconds)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_termination_signal_leaves_a_checkpoint_and_no_step_is_computed_twice(tmp_path):
    whole, losses = train(tmp_path / "a")
    run = signalled(tmp_path / "b", 0.1)
    steps = [int(run.stdout.readline()) for _ in range(3)]
    run.send_signal(signal.SIGTERM)
    out, error = run.communicate(timeout=60)
    steps += map(int, out.split())
    assert run.returncode == 1
    assert f"error: stopped by SIGTERM after {len(steps)} of 40 steps; run again to go on" in error
    assert f"step-{len(steps):08d}.pt'" in error.splitlines()[-1]
    network, draws, loss = problem()
    counted = lambda step: (steps.append(step), draws(step))[1]  # noqa: E731
    resumed, again = fit(network, counted, loss, TRAINING, seed=0, purpose="test", checkpoints=tmp_path / "b")
    assert steps == list(range(40))
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("step", [0, 39])
def test_a_signal_in_any_step_stops_after_it_and_handlers_come_back(tmp_path, step):
    network, draws, loss = problem()
    before = signal.getsignal(signal.SIGUSR1)

    def told(now: int) -> tuple[torch.Tensor, ...]:
        if now == step:
            os.kill(os.getpid(), signal.SIGUSR1)
        return draws(now)

    with pytest.raises(StoppedTraining, match=f"stopped by SIGUSR1 after {step + 1} of 40"):
        fit(network, told, loss, TRAINING, seed=0, purpose="test", checkpoints=tmp_path / "b")
    assert signal.getsignal(signal.SIGUSR1) == before
    whole, resumed = train(tmp_path / "a"), train(tmp_path / "b")
    assert torch.equal(whole[1], resumed[1])
    assert all(torch.equal(whole[0][name], resumed[0][name]) for name in whole[0])


def test_a_checkpoint_of_another_training_is_refused_and_the_one_before_it_used(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    other = TRAINING | {"lr": 2e-2}
    whole, losses = train(tmp_path / "whole")
    for folder, training, step in (("own", TRAINING, 10), ("other", other, 20)):
        with pytest.raises(Killed):
            train(tmp_path / folder, training, killed_at=step)
    for path in (tmp_path / "other").iterdir():
        path.rename(tmp_path / "own" / path.name)
    capsys.readouterr()
    with pytest.raises(Killed):
        train(tmp_path / "own", killed_at=12)
    said = capsys.readouterr().err
    assert said.count("is not one of this training") == 2
    assert "going on after step 10 of 40" in said
    assert sorted(p.name for p in (tmp_path / "own").iterdir()) == ["step-00000011.pt", "step-00000012.pt"]
    resumed, again = train(tmp_path / "own")
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_what_a_checkpoint_belongs_to():
    network = problem()[0]
    mine = belonging(network, TRAINING, 0, "test")
    assert belonging(problem()[0], dict(reversed(TRAINING.items())), 0, "test") == mine
    wider = torch.nn.Sequential(torch.nn.Linear(3, 17))
    for other in ((network, TRAINING | {"ema_decay": 0.8}, 0, "test"), (network, TRAINING, 1, "test"),
                  (network, TRAINING, 0, "else"), (wider, TRAINING, 0, "test")):  # fmt: skip
        assert belonging(*other) != mine


def test_it_learns_and_the_average_is_what_comes_back(tmp_path):
    network, draws, loss = problem()
    state, losses = fit(network, draws, loss, TRAINING | {"steps": 300}, seed=0, purpose="test", checkpoints=tmp_path)
    assert losses[-20:].mean() < 0.2 * losses[:20].mean()
    assert not torch.equal(state["0.weight"], network[0].weight)
    plain, _ = train(tmp_path / "none", TRAINING | {"ema_decay": None})
    averaged, _ = train(tmp_path / "ema")
    assert not torch.equal(plain["0.weight"], averaged["0.weight"])


def test_the_average_follows_its_definition(tmp_path):
    """After n steps: average_n = d_n average_{n-1} + (1 - d_n) weights_n."""
    after = [
        train(tmp_path / str(n), TRAINING | {"steps": n, "lr_schedule": "constant", "warmup": 0, "ema_decay": None})[0]
        for n in (1, 2, 3)
    ]
    expected = problem()[0].state_dict()["0.weight"]
    for step, state in enumerate(after):
        decay = ema_decay(step, 0.9)
        expected = decay * expected + (1 - decay) * state["0.weight"]
    state, _ = train(tmp_path / "ema", TRAINING | {"steps": 3, "lr_schedule": "constant", "warmup": 0})
    assert torch.allclose(state["0.weight"], expected, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    network, draws, loss = problem()
    bad = lambda x, step: loss(x, step) * (float("nan") if step[0] == 12 else 1.0)  # noqa: E731
    with pytest.raises(DivergedTraining, match=r"step 12 is not finite.*step-00000012\.pt"):
        fit(network, draws, bad, TRAINING, seed=0, purpose="test", checkpoints=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000011.pt", "step-00000012.pt"]


def test_a_gradient_that_is_not_finite_stops_even_at_the_last_step(tmp_path):
    network, draws, loss = problem()

    def bad(x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        value = loss(x, step)  # finite, but the gradient of the root at 0 is not
        return value + (network[0].weight * 0).sum().abs().sqrt() if step[0] == 39 else value

    with pytest.raises(DivergedTraining, match="weights after step 39 are not finite"):
        fit(network, draws, bad, TRAINING, seed=0, purpose="test", checkpoints=tmp_path)


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_micro_batches_sum_to_the_gradients_of_the_batch(tmp_path, size):
    whole, losses = train(tmp_path / "whole", precision=torch.float64)
    parts, again = train(tmp_path / "parts", TRAINING | {"micro_batch": size}, precision=torch.float64)
    assert torch.allclose(losses, again, rtol=1e-6)  # losses are kept in float32
    assert all(torch.allclose(whole[name], parts[name], rtol=0, atol=BOUND) for name in whole)


def test_bfloat16_learns_nearly_the_same_and_keeps_float32_weights(tmp_path):
    training = TRAINING | {"steps": 300}
    _, exact = train(tmp_path / "exact", training)
    state, losses = train(tmp_path / "bf16", training | {"precision": "bfloat16"})
    assert all(value.dtype == torch.float32 for value in state.values())
    assert not torch.equal(losses, exact)
    assert losses[-20:].mean() < 0.2 * losses[:20].mean()


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_compiled_network_learns_the_same(tmp_path, monkeypatch, dropout):
    whole, _ = train(tmp_path / "eager", dropout=dropout, precision=torch.float64)
    monkeypatch.setenv("GUIDANCE_STUDY_COMPILE", "default")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))  # made anew, whatever is kept here
    compiled, _ = train(tmp_path / "compiled", dropout=dropout, precision=torch.float64)
    assert [path.name[:4] for path in (tmp_path / "kernels").iterdir()] == ["isa-"]
    assert compiled.keys() == whole.keys()
    assert all(torch.allclose(whole[name], compiled[name], rtol=0, atol=BOUND) for name in whole)


def test_learning_rates():
    assert learning_rate(0, TRAINING) == pytest.approx(2e-3)
    assert learning_rate(4, TRAINING) == learning_rate(5, TRAINING) == pytest.approx(1e-2)
    assert learning_rate(39, TRAINING) < 1e-4
    assert learning_rate(39, TRAINING | {"lr_schedule": "constant"}) == 1e-2


def test_ema_decay_ramps_up():
    assert ema_decay(0, 0.999) == pytest.approx(0.1)
    assert ema_decay(10**6, 0.999) == 0.999
