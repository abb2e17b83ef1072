"""A GPU for each job of a machine, shown with GPUs that are only counted; and batches halved where memory ends."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from conftest import TOP
from guidance_study.execution import devices
from guidance_study.support.errors import StudyError

JOB = """
import os, sys
from guidance_study.execution import devices
devices.count = lambda: 2
devices.POLL = 0.05
print(*devices.claim(), os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that begins a new job on a machine with n GPUs; the jobs before it live on and hold theirs."""
    monkeypatch.setattr(devices, "folder", lambda: tmp_path / "locks")
    monkeypatch.setattr(devices, "POLL", 0.01)
    monkeypatch.setattr(devices, "_handles", [])
    monkeypatch.setenv("GUIDANCE_STUDY_GPU_LOCK", "True")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that monkeypatch puts back whatever was there
    for name in ("SLURM_JOB_ID", "GUIDANCE_STUDY_DEVICE"):
        monkeypatch.delenv(name, raising=False)

    def begin(gpus: int, shown: str | None = None):
        monkeypatch.setattr(devices, "count", lambda: gpus)
        monkeypatch.setattr(devices, "_all", None)
        monkeypatch.setattr(devices, "_mine", [])
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if shown is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)

    yield begin
    for handle in devices._handles:
        os.close(handle)


def test_jobs_get_gpus_of_their_own_and_wait_for_one_that_a_killed_job_held(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID")}
    environment |= {"PYTHONPATH": str(TOP / "workflow"), "TMPDIR": str(tmp_path), "GUIDANCE_STUDY_GPU_LOCK": "True"}
    begin = lambda: subprocess.Popen(  # noqa: E731
        [sys.executable, "-c", JOB], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    jobs = [begin(), begin()]
    try:
        got = [job.stdout.readline().split() for job in jobs]
        assert sorted(got) == [["0", "0"], ["1", "1"]]
        jobs.append(begin())
        assert "must be free; waiting" in jobs[2].stderr.readline()
        jobs[0].send_signal(signal.SIGKILL)
        assert jobs[2].stdout.readline().split() == got[0]
    finally:
        for job in jobs:
            job.kill()
            job.communicate()


def test_a_job_takes_one_gpu_once_and_shows_it_to_cuda(machine):
    machine(3)
    assert devices.claim() == devices.claim() == ["0"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    machine(3)
    assert devices.claim(2) == ["1", "2"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,2"


def test_a_list_of_the_users_own_is_respected(machine):
    for expected in ("GPU-5ac1", "3"):
        machine(2, "GPU-5ac1, 3,nonsense")
        assert devices.claim() == [expected]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == expected
    machine(0, "")
    assert devices.claim() == []


def test_a_job_that_holds_some_does_not_wait_for_more(machine):
    machine(3)
    assert devices.claim() == ["0"]
    first = (devices._all, devices._mine)
    machine(3)
    assert devices.claim() == ["1"]
    assert devices.claim(3) == ["1", "2"]  # two such jobs would wait for each other's
    devices._all, devices._mine = first
    assert devices.claim(2) == ["0"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("SLURM_JOB_ID", "7", ["0"]), ("GUIDANCE_STUDY_GPU_LOCK", "False", ["0"]), ("GUIDANCE_STUDY_DEVICE", "cpu", [])],
)
def test_where_there_are_no_locks(machine, monkeypatch, name, value, expected):
    monkeypatch.setenv(name, value)
    for _ in range(2):
        machine(1)
        assert devices.claim() == expected
        assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert not devices.folder().exists()


def test_more_gpus_than_there_are_is_one_sentence(machine):
    machine(2)
    with pytest.raises(StudyError, match=r"execution\.devices is 3, but .* are 0, 1$"):
        devices.claim(3)


def test_without_a_place_for_locks_jobs_share_and_say_so(machine, tmp_path, capsys):
    (tmp_path / "locks").write_text("a file where the folder should be")
    for _ in range(2):
        machine(1)
        assert devices.claim() == ["0"]
    assert capsys.readouterr().err.count("GPUs cannot be locked") == 2


def squares(most: int, calls: list):
    def compute(first: int, last: int) -> torch.Tensor:
        calls.append((first, last))
        if last - first > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")
        return torch.arange(first, last) ** 2

    return compute


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_a_batch_that_does_not_fit_is_halved_to_the_same_rows(most, capsys):
    calls = []
    assert torch.equal(devices.halving(squares(most, calls), 5, 25), torch.arange(5, 25) ** 2)
    fitting = [(a, b) for a, b in calls if b - a <= most]
    assert [row for a, b in fitting for row in range(a, b)] == list(range(5, 25))  # each row once, in order
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(calls) - len(fitting)
    assert most >= 20 or "does not hold a batch of 20 (execution.inference_batch); going on with 10" in said[0]


def test_where_nothing_can_be_halved_one_sentence_says_so():
    with pytest.raises(StudyError, match=r"does not hold a single sample \(CUDA out of memory\)$"):
        devices.halving(squares(0, []), 0, 4)
    with (
        pytest.raises(StudyError, match=r"does not hold a block of 500 samples .*; lower 'sampler\.block'$"),
        devices.undivided("a block of 500 samples", "sampler.block"),
    ):
        squares(0, [])(0, 500)
