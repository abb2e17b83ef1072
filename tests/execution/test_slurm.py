"""Clusters: what jobs ask for, the profiles, and a study through a real Slurm, its training requeued and cancelled."""

import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slurm
import yaml
from conftest import TOP, command_line, digests, environment
from guidance_study.config.loading import merge, parse, read
from guidance_study.plan import resources
from guidance_study.plan.plan import Plan
from guidance_study.store.artefacts import Store

TARGET = "table_digits_nn"
LONG = {  # a training long enough to be met in its middle
    "execution": {"checkpoint_seconds": 0.3},
    "models": {"digits_conditional": {"training": {"steps": 1500}}},
    "experiments": {"digits_cfg": {"arms": []}},
}
QUICK = ["--slurm-init-seconds-before-status-checks", "12", "--latency-wait", "30"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A private Slurm, or the reason why there is none: a failure where GUIDANCE_STUDY_REQUIRE_SLURM is set."""
    unable = pytest.fail if os.environ.get(slurm.REQUIRED) else pytest.skip
    if reason := slurm.missing():
        unable(reason)
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(slurm.private(tmp_path_factory.mktemp("slurm") / "s"))
        except (OSError, RuntimeError) as error:
            unable(f"Slurm does not start here: {error}")
        yield running


@pytest.fixture
def short(tiny) -> dict:
    """A study of one table, which six jobs make."""
    config = merge(tiny, LONG)
    return config | {"tables": {TARGET: config["tables"][TARGET]}, "figures": {}, "all": [TARGET]}


@contextlib.contextmanager
def started(folder: Path, env: dict, *arguments: str):
    """Snakemake in a folder, its output in run.log; it ends with the block."""
    with (folder / "run.log").open("w") as out:
        command = [sys.executable, "-m", "snakemake", *arguments]
        run = subprocess.Popen(command, cwd=folder, env=environment() | env, stdout=out, stderr=out)
    try:
        yield run
    finally:
        run.terminate()
        run.wait(60)


def wait(condition, run: subprocess.Popen, seconds: float = 120) -> None:
    """Until a condition holds, while a run goes on."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert run.poll() is None, "the run ended before what was waited for"
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.1)


@pytest.mark.slow
def test_through_slurm_requeued_and_cancelled_it_makes_the_same_bytes(cluster, project, short):
    folder, alone = project(short, "slurm"), project(short, "alone")
    site = ["--slurm-partition-config", "profiles/slurm/partitions.yaml", "--slurm-status-command", "squeue"]
    gpus = ["--set-resources", "samples:gpu=1", "measures:gres=gpu:1"]
    with started(folder, cluster.env, TARGET, "--profile", "profiles/slurm", *site, *gpus, *QUICK) as run:
        disturb(cluster, folder, run)
        assert run.wait(300) == 0, (folder / "run.log").read_text()
    done = command_line(alone, "run", TARGET)
    assert done.returncode == 0, done.stderr
    assert digests(folder) == digests(alone)
    went_through(cluster, folder)


def disturb(cluster, folder: Path, run) -> None:
    """Meet the training in its middle twice: requeued by Slurm, then cancelled, which Snakemake answers by a retry."""

    def training() -> list[str]:
        jobs = cluster.jobs().items()
        return [job for job, said in jobs if said["state"] == "RUNNING" and said["comment"].startswith("rule_denoiser")]

    def newest() -> str:
        return max((path.name for path in folder.glob("results/.checkpoints/denoiser/*/*/step-*.pt")), default="")

    def goes_on() -> bool:
        return any("going on after step" in path.read_text() for path in folder.glob("results/logs/denoiser/*.log"))

    wait(newest, run)
    cluster.call("scontrol", "requeue", *training())
    wait(goes_on, run)
    reached = newest()
    wait(lambda: newest() > reached, run)
    cluster.call("scancel", *training())


def went_through(cluster, folder: Path) -> None:
    """Every artefact but the table was made by a job of Slurm's, with what it asked for; the training by its retry."""
    store, jobs = Store(folder / "results"), cluster.jobs()
    for address in store.addresses():
        stage, artefact = address.split("/")
        job = store.manifest(address)["run"].get("slurm_job")
        if stage == "table":
            assert job is None
            continue
        said = jobs[job]
        assert (said["state"], said["comment"]) == ("COMPLETED", f"rule_{stage}_wildcards_{artefact}")
        assert said["partition"] == ("gpu" if stage in ("samples", "measures") else "cpu")
        assert said["gpus"] == {"samples": ("gres:gpu:1", "N/A"), "measures": ("N/A", "gres:gpu:1")}.get(
            stage, ("N/A", "N/A")
        )
    trainings = [said for said in jobs.values() if said["comment"].startswith("rule_denoiser")]
    assert sorted((said["state"], said["memory"]) for said in trainings) == [
        ("CANCELLED", "2500M"),
        ("COMPLETED", "5000M"),  # the second attempt
    ]


@pytest.mark.slow
def test_another_scheduler_through_its_submit_and_status_commands(project, short, tmp_path):
    """A stand-in for PBS's commands: qsub runs the job in the background, qstat says how it is."""
    pbs = tmp_path / "pbs"
    pbs.mkdir()
    (pbs / "qsub").write_text(
        f'#!/bin/sh\nid=$$; echo "$@" >> {pbs}/asked; for script; do :; done\n'
        f'(sh "$script" > {pbs}/$id.log 2>&1; echo $? > {pbs}/$id.rc) > {pbs}/$id.out 2>&1 &\necho $id\n'
    )
    (pbs / "qstat").write_text(
        f'#!/bin/sh\nfor id; do :; done\nif [ -e {pbs}/$id.rc ]; then echo "job_state = F"; '
        f'echo "Exit_status = $(cat {pbs}/$id.rc)"; else echo "job_state = R"; fi\n'
    )
    for name in ("qsub", "qstat"):
        (pbs / name).chmod(0o755)
    short["models"]["digits_conditional"]["training"]["steps"] = 30
    model = next(a for a in Plan(parse(short)).artefacts.values() if a.stage == "denoiser")
    folder = project(short, "generic")
    arguments = ["--profile", "profiles/cluster-generic", "--seconds-between-status-checks", "1"]
    with started(folder, {"PATH": f"{pbs}:{os.environ['PATH']}"}, f"results/{model.manifest}", *arguments) as run:
        assert run.wait(200) == 0, (folder / "run.log").read_text()
    _, training = (pbs / "asked").read_text().splitlines()
    expected = "-l select=1:ncpus=1:mem=2500mb -l walltime=00:20:00"
    assert f"-N {model.address.replace('/', '-')} " in training and expected in training
    assert Store(folder / "results").has(model)


@pytest.mark.parametrize(("profile", "target"), [("slurm", "all"), ("cluster-generic", "table_2")])
def test_the_papers_study_is_a_valid_plan_under_a_profile(project, default, snakemake, profile, target):
    folder = project(default)
    arguments = ("-n", target, "--profile", f"profiles/{profile}", "--configfile", "config/paper.yaml")
    said = snakemake(folder, *arguments).stdout
    assert "workflow specific profile profiles/default" in said  # its settings stay in force
    asked = [int(minutes) for minutes in re.findall(r"runtime=(\d+)", said)]
    assert max(asked) == 1440  # the profile's cap: the base of Tab. 2 trains for days, over several attempts
    assert {"gpu=0", "gpu=1"} <= set(re.findall(r"gpu=\d", said))


def test_profiles_say_nothing_that_the_default_profile_says():
    ours = yaml.safe_load((TOP / "profiles" / "default" / "config.yaml").read_text()).keys()
    for name in ("slurm", "cluster-generic"):
        assert not ours & yaml.safe_load((TOP / "profiles" / name / "config.yaml").read_text()).keys()


def test_a_job_asks_for_what_its_recipe_needs(parsed):
    paper = parsed(read(TOP / "config" / "paper.yaml"))
    asked = {}
    for artefact in Plan(paper).artefacts.values():
        kind = artefact.params["network"]["kind"] if "network" in artefact.params else None
        asked.setdefault((artefact.stage, kind), []).append(artefact)
    linear, unet = asked["classifier", "linear"], asked["denoiser", "song_unet"]
    assert {resources.gpus(a) for a in linear} == {0}
    assert all(resources.runtime(a) < 120 for a in linear)
    trained = [a for a in unet if a.params["training"]]
    assert {resources.gpus(a) for a in trained} == {1}
    assert all(resources.runtime(a) > 5 * 1440 for a in trained)  # 200 M images: days of a GPU
    ready = [a for a in unet if not a.params["training"]]  # weights from outside
    assert {(resources.gpus(a), resources.runtime(a)) for a in ready} == {(0, 10)}


def test_more_steps_more_minutes_and_every_attempt_asks_for_more(parsed):
    def denoiser(steps: int):
        plan = Plan(parsed({"models": {"digits_conditional": {"training": {"steps": steps}}}}))
        return next(a for a in plan.artefacts.values() if a.about.startswith("model digits_conditional"))

    short, long = denoiser(3000), denoiser(300_000)
    assert resources.runtime(short) < resources.runtime(long)
    assert [resources.mem_mb(short, attempt) for attempt in (1, 2, 3)] == [2500, 5000, 7500]
    assert resources.runtime(long, 2) == 2 * resources.runtime(long)


def test_a_shard_asks_for_its_share_of_the_minutes(parsed):
    plan = Plan(parsed(read(TOP / "config" / "paper.yaml")))
    pool = max((a for a in plan.artefacts.values() if a.stage == "samples"), key=resources.runtime)
    assert resources.runtime(pool) > 1000
    assert resources.runtime(pool, shards=8) < resources.runtime(pool) / 7
