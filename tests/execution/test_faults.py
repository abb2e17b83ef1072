"""Faults from outside: full, read-only and vanished disks, odd clocks, stops. docs/faults.md is their table."""

import errno
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TOP
from guidance_study.store.artefacts import SCRATCH, Store
from guidance_study.store.publishing import damages, publish
from guidance_study.support.errors import StudyError
from guidance_study.support.writing import atomic_write, explained, reserve
from guidance_study.training import loop as training
from safetensors.torch import save_file
from test_store import ARTEFACT, RUN, written_table
from test_training import TRAINING, Killed, problem, train

PAGE = 4096  # what a file in memory grows by
FULL = "the disk is full; free some space and run again"


@pytest.fixture
def disk(tmp_path):
    """A file system of 1 MiB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(["-t", "tmpfs", "-o", "size=1m", "tmpfs"], folder)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(options: list[str], folder: Path) -> None:
    try:
        subprocess.run(["mount", *options, str(folder)], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting is not permitted here: {getattr(error, 'stderr', error)}")


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all but some bytes of a disk; removing the file gives them back."""
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - leave))
    return filler


def mapped(path: Path, content: np.ndarray) -> None:
    out = np.lib.format.open_memmap(path, "w+", content.dtype, content.shape)
    reserve(path)
    out[:] = content
    out.flush()


WRITERS = {
    "numpy": lambda path, content: np.save(path, content),
    "mapped": mapped,
    "torch": lambda path, content: torch.save(torch.from_numpy(content), path),
    "safetensors": lambda path, content: save_file({"a": torch.from_numpy(content)}, path),
    "text": lambda path, content: path.write_text(str(content.tolist())),
}


def write(store: Store, writer="numpy") -> dict:
    """An artefact of about 100 kB; the digests of its files."""
    with store.write(ARTEFACT.address, lambda: dict(RUN)) as out:
        for name in ARTEFACT.spec.files:
            WRITERS[writer](out / name, np.arange(12_000, dtype=np.float32))
    assert store.damages(ARTEFACT.address) == []
    return store.manifest(ARTEFACT.address)["files"]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_named_whatever_library_writes(disk, tmp_path, writer):
    store = Store(disk / "results")
    filler = fill(disk, leave=2 * PAGE)
    with pytest.raises(StudyError) as caught:
        write(store, writer)
    name = ARTEFACT.spec.files[0]
    folder = disk / "results" / ARTEFACT.address
    assert str(caught.value) in (
        f"'{name}' cannot be written into '{folder}': {FULL}",
        f"'{folder.name}' cannot be written into '{folder.parent}': {FULL}",  # safetensors leaves no trace of its file
    )
    assert store.addresses() == []
    assert not any((disk / "results" / SCRATCH).iterdir())
    filler.unlink()
    assert write(store, writer) == write(Store(tmp_path / "undisturbed"), writer)


def test_a_disk_that_fills_up_at_the_manifest_leaves_no_artefact(disk):
    store, size = Store(disk / "results"), 128 + 4 * 12_000
    files = len(ARTEFACT.spec.files)
    filler = fill(disk, leave=files * -(-size // PAGE) * PAGE)
    with pytest.raises(StudyError, match=rf"'manifest\.json' cannot be written into .*{ARTEFACT.address}': {FULL}"):
        write(store)
    assert store.addresses() == []
    filler.unlink()
    write(store)


def test_a_published_copy_that_does_not_fit_leaves_the_old_one(disk):
    store = Store(disk / "results")
    publish(store, written_table(store, "one").address)
    new = written_table(store, "two" * PAGE)
    filler = fill(disk, leave=PAGE)
    with pytest.raises(StudyError, match=rf"'table_x\.\w+' cannot be written into '{disk}/results/tables': {FULL}"):
        publish(store, new.address)
    tables = disk / "results" / "tables"
    assert (tables / "table_x.csv").read_text() == "one"
    assert len(list(tables.iterdir())) == 5
    filler.unlink()
    publish(store, new.address)
    assert (tables / "table_x.csv").read_text() == "two" * PAGE
    assert damages(store) == []


def test_a_checkpoint_that_does_not_fit_is_named_and_costs_nothing(disk, tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    whole, losses = train(tmp_path / "undisturbed")
    folder = disk / "checkpoints"
    with pytest.raises(Killed):
        train(folder, killed_at=20)
    filler = fill(disk)
    with pytest.raises(StudyError, match=rf"'step-00000021\.pt' cannot be written into '{folder}': {FULL}"):
        train(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000019.pt", "step-00000020.pt"]
    filler.unlink()
    resumed, again = train(folder)
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_another_training_is_not_used(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "1e-9")
    whole, _ = train(tmp_path / "undisturbed")
    with pytest.raises(Killed):
        train(tmp_path / "b", TRAINING | {"lr": 0.02}, killed_at=20)
    capsys.readouterr()
    resumed, _ = train(tmp_path / "b")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert "step-00000020.pt' is not one of this training" in capsys.readouterr().err


def test_a_read_only_disk_is_named(disk):
    store = Store(disk / "results")
    write(store)
    mount(["-o", "remount,ro"], disk)
    said = "the file system is read-only; mount it writable or choose another folder"
    with pytest.raises(StudyError, match=said):
        write(store)
    with pytest.raises(StudyError, match=said), store.exclusive("denoiser/x-0123456789abcdef"):
        pass
    with pytest.raises(StudyError, match=rf"'index\.tsv' cannot be written into '{disk}/results': {said}"):
        atomic_write(disk / "results" / "index.tsv", b"1")
    assert store.open(ARTEFACT.address).is_dir()  # reading goes on


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_or_a_broken_link_in_the_place_of_the_results_is_named(tmp_path, kind):
    results = tmp_path / "results"
    results.write_text("") if kind == "file" else results.symlink_to(tmp_path / "unmounted")
    said = "a file or a broken link lies where a folder should be; move it away"
    with pytest.raises(StudyError, match=said), Store(results).exclusive(ARTEFACT.address):
        pass
    with pytest.raises(StudyError, match=said):
        write(Store(results))
    with pytest.raises(StudyError, match=said):
        atomic_write(results / "index.tsv", b"1")


@pytest.mark.parametrize("writer", WRITERS)
def test_results_that_vanish_under_a_job_are_named(tmp_path, writer):
    store = Store(tmp_path / "results")
    with (
        pytest.raises(StudyError, match="its folder has vanished; bring it back and run again"),
        store.write(ARTEFACT.address, lambda: dict(RUN)) as out,
    ):
        shutil.rmtree(tmp_path / "results")
        WRITERS[writer](out / ARTEFACT.spec.files[0], np.zeros(3))
    assert store.addresses() == []


def test_other_errors_stay_what_they_are(tmp_path):
    """Neither a mistake in the code nor a file of somebody else's is blamed on the results folder."""
    for error in (ZeroDivisionError("division"), FileNotFoundError(errno.ENOENT, "none", "/other/weights"),
                  PermissionError(errno.EACCES, "denied", "/other/weights")):  # fmt: skip
        with pytest.raises(type(error)) as caught, explained(tmp_path / "file"):
            raise error
        assert caught.value is error
    with pytest.raises(StudyError, match=r"'file' cannot be written .*no permission"), explained(tmp_path / "file"):
        raise PermissionError(errno.EACCES, "denied", str(tmp_path / "file"))


def test_what_a_zombie_left_is_swept(tmp_path):
    """A killed process that its parent has not asked about still has a number: its leftovers are leftovers."""
    store = Store(tmp_path)
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    left = tmp_path / SCRATCH / f"{ARTEFACT.address.replace('/', '.')}@{socket.gethostname()}@{zombie.pid}"
    left.mkdir(parents=True)
    write(store)
    zombie.wait()
    assert not any((tmp_path / SCRATCH).iterdir())


LOGGING = """
import sys
sys.path.insert(0, {path!r})
from pathlib import Path
from guidance_study.support import progress
with progress.logging_to(Path(sys.argv[1])):
    progress.log("first")
    progress.log("error: a sentence")
"""


def test_a_log_that_cannot_be_written_stops_no_work(disk, tmp_path):
    (disk / "job.log").touch()
    fill(disk)
    (tmp_path / "file").touch()
    for log in (disk / "job.log", tmp_path / "file" / "job.log"):
        code = LOGGING.format(path=str(TOP / "workflow"))
        done = subprocess.run([sys.executable, "-c", code, str(log)], capture_output=True, text=True, check=True)
        assert "error: a sentence" in done.stderr


def test_twenty_stops_repeat_no_more_than_a_checkpoint_interval_each(tmp_path, monkeypatch):
    """With a clock of one second a step and checkpoints every 5 s, at most 6 steps are computed twice for a stop."""
    clock = itertools.count()
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(training, "track", lambda items, *_: items)  # it reads the clock, too
    monkeypatch.setenv("GUIDANCE_STUDY_CHECKPOINT_SECONDS", "5")
    options = TRAINING | {"steps": 200}
    whole, losses = train(tmp_path / "undisturbed", options)
    drawn = []

    def attempt(killed_at: int | None):
        network, draws, loss = problem(killed_at)
        counted = lambda step: (drawn.append(step), draws(step))[1]  # noqa: E731
        return training.fit(network, counted, loss, options, seed=0, purpose="test", checkpoints=tmp_path / "killed")

    for step in sorted(random.Random(7).sample(range(1, 200), 20)):
        with pytest.raises(Killed):
            attempt(step)
    resumed, again = attempt(None)
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert 200 < len(drawn) <= 200 + 20 * 7  # the step of the stop itself is drawn, not computed


@pytest.mark.parametrize("jump", [86_400.0, -86_400.0])
def test_a_clock_that_jumps_changes_no_weights(tmp_path, monkeypatch, jump):
    """time.time may jump a day either way; the monotonic clock, after a suspended night, only forwards."""
    whole, losses = train(tmp_path / "undisturbed")
    calls = itertools.count()
    monkeypatch.setattr(training.time, "time", lambda: 1.7e9 + jump * next(calls))
    monkeypatch.setattr(training.time, "monotonic", lambda: abs(jump) * next(calls))
    with pytest.raises(Killed):
        train(tmp_path / "jumping", killed_at=20)
    assert (tmp_path / "jumping" / "step-00000020.pt").is_file()
    resumed, again = train(tmp_path / "jumping")
    assert torch.equal(losses, again)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
