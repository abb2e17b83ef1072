"""Faults from outside that take a whole study: twenty kills, full disks, odd clocks. docs/faults.md is their table."""

import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import command_line, digests, environment, merge, snakemake_command
from guidance_study.config import stages
from test_faults import FULL, disk, mount  # noqa: F401 - a fixture

pytestmark = pytest.mark.slow

CHANGES = {
    "execution": {"checkpoint_seconds": 0.1},
    "models": {name: {"training": {"steps": 200}} for name in ("digits_conditional", "digits_unconditional")},
    "postprocessors": {"digits": {"training": {"steps": 100}}},
    "all": ["table_digits"],
}
STAGES = ("denoiser", "classifier", "samples", "neighbours", "postprocessor", "postprocessed", "measures")
TRAININGS = tuple(name for name, stage in stages.STAGES.items() if stage.trains)
FORKING = """
import os, sys
from guidance_study.execution import jobs
jobs.prepare_process(1)
import faiss, pandas, scipy.linalg, sklearn.datasets, torch._dynamo
from guidance_study.__main__ import main
for _ in sys.stdin:
    if (pid := os.fork()) == 0:
        os.dup2(2, 1)
        os._exit(main(["run", "--config", "config.yaml"]))
    os.write(1, b"%d\\n" % pid)
    os.write(1, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def with_package(folder: Path) -> dict:
    return environment() | {"PYTHONPATH": str(folder / "workflow")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A finished tiny study: its folder, address -> manifest in the order of their making, and address -> seconds."""
    import conftest

    config = merge(merge(conftest.read(conftest.TOP / "config.yaml"), conftest.TINY), CHANGES)
    folder = conftest.project.__wrapped__(tmp_path_factory.mktemp("undisturbed"))(config)
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr
    order = re.findall(r"^making (\S+)$", done.stderr, flags=re.M)
    made = {a: json.loads((folder / "results" / a / "manifest.json").read_text()) for a in order}
    return folder, made, durations(done.stderr, made)


@pytest.fixture
def study(undisturbed, project, tiny):
    """The same study in a fresh folder, nothing made."""
    return project(merge(tiny, CHANGES), "disturbed")


def files(made: dict[str, dict]) -> dict[str, dict]:
    return {address: manifest["files"] for address, manifest in made.items()}


def temporary(folder: Path) -> list[Path]:
    """What a killed process might have left below the results."""
    scratch = [path for path in (folder / "results").rglob("*") if re.search(r"@|\.\d+$", path.name)]
    return scratch + list((folder / "results" / ".checkpoints").rglob("*"))


class Runs:
    """`python -m guidance_study run` in a folder, as often as asked, in processes forked after the imports."""

    def __init__(self, folder: Path):
        self.log = (folder / "run.log").open("a")
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log, "bufsize": 0}
        command = [sys.executable, "-c", FORKING]
        self.process = subprocess.Popen(command, cwd=folder, env=with_package(folder), **pipes)

    def start(self) -> int:
        """A new run; its process."""
        self.log.truncate(0)
        self.process.stdin.write(b"\n")
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        """The exit status of the last run, minus the signal that ended it."""
        return int(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def durations(said: str, made: dict[str, dict]) -> dict[str, float]:
    """Seconds that each artefact took, in a training for its steps alone, from what a run said."""
    seconds = {address: manifest["run"]["seconds"] for address, manifest in made.items()}
    for address, steps, rate in re.findall(r"^making (\S+)\ntrain/.*: \d+/(\d+), (\S+)/s, 0 s", said, flags=re.M):
        seconds[address] = int(steps) / float(rate)
    return seconds


def checkpoint(folder: Path, address: str) -> int:
    """Steps done in the newest checkpoint of an artefact; 0 without any."""
    found = (folder / "results" / ".checkpoints" / address).glob("*/step-*.pt")
    return max((int(path.stem.removeprefix("step-")) for path in found), default=0)


def growing(folder: Path) -> set[str]:
    return {path.name for path in (folder / "results" / ".tmp").glob("*@*")}


def reached(folder: Path, order: list[str], aim: int, ended) -> str:
    """Wait until `aim` is in the making, in a training with a checkpoint of this run, or a later artefact."""
    old, began = growing(folder), {address: checkpoint(folder, address) for address in order}
    while not ended():
        names = {name.split("@")[0] for name in growing(folder) - old}
        for address in order[aim:]:
            trained = not address.startswith(TRAININGS) or checkpoint(folder, address) > began[address]
            if address.replace("/", ".") in names and trained:
                return address
        time.sleep(0.002)
    raise AssertionError(f"it ended before '{order[aim]}': {(folder / 'run.log').read_text()}")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_killed_twenty_times_it_finishes_with_the_same_bytes(undisturbed, study):
    """SIGKILL and SIGTERM in turn, at seeded shares of what each artefact took undisturbed; Snakemake twice."""
    _, made, seconds = undisturbed
    order, moments = list(made), random.Random(7)
    aims = [moments.choice([i for i, a in enumerate(order) if a.startswith(stage + "/")]) for stage in STAGES]
    aims = sorted(aims + moments.sample([i for i in range(len(order) - 2) if i not in aims], 13))
    runs = Runs(study)
    for number, aim in enumerate(aims):
        sent = signal.SIGTERM if number % 2 else signal.SIGKILL
        kept = {address: checkpoint(study, address) for address in order}
        if number in (5, 12):
            run = subprocess.Popen(snakemake_command(), cwd=study, env=environment(), stdout=runs.log,
                                   stderr=runs.log, start_new_session=True)  # fmt: skip
            now = reached(study, order, aim, run.poll)
            time.sleep(moments.random() * seconds[now])
            os.killpg(run.pid, sent)
            run.wait()
        else:
            pid = runs.start()
            now = reached(study, order, aim, lambda pid=pid: gone(pid))
            time.sleep(moments.random() * seconds[now])
            os.kill(pid, sent)
            status = runs.wait()
            assert status in (-sent, 2), (study / "run.log").read_text()  # 2: a training that stopped by itself
        went_on_from_the_newest(study, kept)
    kept = {address: checkpoint(study, address) for address in order}
    runs.start()
    assert runs.wait() == 0
    runs.close()
    went_on_from_the_newest(study, kept)
    assert digests(study) == files(made)
    assert temporary(study) == []


def went_on_from_the_newest(folder: Path, kept: dict[str, int]) -> None:
    """A training that ended in this attempt and had a checkpoint before took up the newest: no more was repeated."""
    for address, steps in kept.items():
        own = folder / "results" / "logs" / f"{address}.log"
        text = (folder / "run.log").read_text() + (own.read_text() if own.is_file() else "")
        if steps and f"made {address}" in text:
            assert f"going on after step {steps} of" in text, (address, steps, text)


def test_a_disk_that_fills_up_midway_stops_the_run_with_a_sentence(undisturbed, study):
    _, made, _ = undisturbed
    results = study / "results"
    results.mkdir()
    mount(["-t", "tmpfs", "-o", "size=600k", "tmpfs"], results)
    try:
        stopped = command_line(study, "run")
        assert stopped.returncode == 2
        last = stopped.stderr.splitlines()[-1]
        assert re.fullmatch(rf"error: '.+' cannot be written into 'results/.+': {FULL}", last)
        assert "Traceback" not in stopped.stderr
        done = digests(study)
        assert 0 < len(done) < len(made)
        assert done == {address: files(made)[address] for address in done}
        mount(["-o", "remount,size=64m"], results)
        assert command_line(study, "run").returncode == 0
        assert digests(study) == files(made)
        assert temporary(study) == []
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=True)


def test_results_that_cannot_be_written_stop_a_run_with_a_sentence(study, snakemake, disk):  # noqa: F811
    read_only = "the file system is read-only; mount it writable or choose another folder"
    in_the_way = "a file or a broken link lies where a folder should be; move it away"
    results = study / "results"
    (disk / "results").mkdir()
    for prepare, said in (
        (lambda: results.symlink_to(disk / "unmounted"), in_the_way),
        (lambda: results.write_text(""), in_the_way),
        (lambda: (results.symlink_to(disk / "results"), mount(["-o", "remount,ro"], disk)), read_only),
    ):
        results.unlink(missing_ok=True)
        prepare()
        alone = command_line(study, "run")
        assert alone.returncode == 2
        assert said in alone.stderr.splitlines()[-1]
        assert "Traceback" not in alone.stderr
    under_snakemake = snakemake(study, check=False)
    assert under_snakemake.returncode != 0
    assert read_only in under_snakemake.stdout
    assert "Traceback" not in under_snakemake.stdout


def test_two_jobs_that_make_the_same_artefact_at_once_do_so_once(undisturbed, study):
    folder, made, _ = undisturbed
    address = next(a for a in made if a.startswith("denoiser/"))
    for source in made[address]["recipe"]["inputs"].values():
        shutil.copytree(folder / "results" / source, study / "results" / source)
    code = (
        "import json, sys; from pathlib import Path; from guidance_study.execution import jobs; "
        "jobs.prepare_process(1); jobs.run_job(json.loads(sys.argv[1]), sys.argv[2], Path('results'))"
    )
    command = [sys.executable, "-c", code, json.dumps(made[address]["recipe"]), address]
    pair = [
        subprocess.Popen(command, cwd=study, env=with_package(study), text=True, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [job.communicate()[1] for job in pair]
    assert [job.returncode for job in pair] == [0, 0], said
    assert sorted(f"made {address}" in text for text in said) == [False, True]
    assert any("was finished meanwhile" in text for text in said)
    assert digests(study)[address] == files(made)[address]
    assert temporary(study) == []


@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_a_clock_that_jumps_changes_no_results(undisturbed, study, jump):
    """time.time is a day off, in one direction or the other, at every look."""
    _, made, _ = undisturbed
    code = (
        "import itertools, sys, time; now, looks = time.time(), itertools.count(); "
        f"time.time = lambda: now + {jump} * next(looks); "
        "from guidance_study.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "run", "--config", "config.yaml", "table_digits_nn"]
    done = subprocess.run(command, cwd=study, env=with_package(study), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    found = digests(study)
    shared = found.keys() & made.keys()
    assert {a.split("/")[0] for a in shared} == {"dataset", *STAGES}
    assert {a: found[a] for a in shared} == {a: files(made)[a] for a in shared}


def test_files_from_the_future_or_the_past_rerun_nothing(undisturbed, study, snakemake):
    """Results copied between machines whose clocks differ: times decide nothing."""
    folder, _, _ = undisturbed
    shutil.copytree(folder / "results", study / "results")
    days = itertools.cycle((1, -400, 30, -1))
    for path in sorted((study / "results").rglob("*")):
        away = 1 if path.parent.parent.name == "measures" else next(days)
        os.utime(path, (time.time() + away * 86_400,) * 2)
    assert "Nothing to be done" in snakemake(study).stdout
    table = next((study / "results" / "table").iterdir()) / "manifest.json"
    table.unlink()
    (study / "results" / "tables" / "table_digits.manifest.json").unlink()
    snakemake(study)
    assert table.is_file()
    assert "Nothing to be done" in snakemake(study).stdout
