"""A job's code is the plan's: a file that changed in between stops the job that would run it, and no other."""

import subprocess
import sys

import pytest
from conftest import environment

CODE = """
import sys
from pathlib import Path
from guidance_study.execution import jobs
from guidance_study.config.loading import load
from guidance_study.plan.plan import Plan
from guidance_study.support.errors import StudyError

plan = Plan(load(["config.yaml"]))
package = Path("workflow/guidance_study")
digits, line = plan.dataset("digits", 0), plan.dataset("gauss_far", 0)

def edit(name):
    with (package / name).open("a") as file:
        file.write("\\nEDITED = 1\\n")

def made(artefact):
    try:
        jobs.run_job(artefact.recipe, artefact.address, Path("results"))
    except StudyError as error:
        print(error)
    return Path("results", artefact.manifest).exists()

exec(sys.argv[1])
"""
AFTER_LOADING = """
import guidance_study.stages.dataset as stage
make = stage.make
def edited(job):
    make(job)
    edit("datasets/digits.py")
stage.make = edited
assert made(digits)
"""
WHILE_RUNNING = """
import guidance_study.stages.dataset as stage
make = stage.make
def edited(job):
    edit("support/randomness.py")
    make(job)
stage.make = edited
assert "guidance_study.support.randomness" not in sys.modules
assert not made(line)
"""

IN_A_PROCESS = """
import json, subprocess
(package / "datasets/mine.py").write_text("def f(:\\n")
alone = "import json, sys; from pathlib import Path; from guidance_study.execution import jobs; "
alone += "jobs.run_job(json.loads(sys.argv[1]), sys.argv[2], Path('results'))"
command = [sys.executable, "-c", alone, json.dumps(digits.recipe), digits.address]
subprocess.run(command, check=True, stderr=subprocess.PIPE)
assert Path("results", digits.manifest).exists()
"""


@pytest.fixture
def planned(project, tiny):
    folder = project(tiny)

    def call(work: str) -> str:
        path = {"PYTHONPATH": str(folder / "workflow")}
        command = [sys.executable, "-c", CODE, work]
        done = subprocess.run(command, cwd=folder, env=environment() | path, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_a_file_that_changed_before_the_job_stops_it(planned):
    said = planned("edit('support/randomness.py'); assert not made(line); assert not made(digits)")
    assert said.splitlines()[0] == "the code of 'datasets/gaussians' changed after this run was planned; run again"


def test_jobs_that_do_not_run_it_go_on(planned):
    assert planned("edit('guidance/classifier.py'); edit('stages/samples.py'); assert made(digits)") == ""


def test_a_file_that_is_no_python_stops_no_job_of_another_kind(planned):
    assert planned(IN_A_PROCESS) == ""


def test_a_comment_stops_nothing(planned):
    work = (
        "path = package / 'support/randomness.py'; path.write_text('# words\\n' + path.read_text()); assert made(line)"
    )
    assert planned(work) == ""


def test_a_file_that_changed_after_it_was_loaded_stops_nothing(planned):
    """The process runs what it loaded; the next plan sees the edit."""
    assert planned(AFTER_LOADING) == ""


def test_a_file_that_changed_before_it_was_loaded_by_a_running_job_leaves_no_manifest(planned):
    assert "randomness.py' changed after this run was planned; run again" in planned(WHILE_RUNNING)


def test_a_kind_that_no_recipe_names_may_not_run(planned):
    work = """
import guidance_study.stages.dataset as stage
from guidance_study.config import seams
make = stage.make
def more(job):
    make(job)
    seams.parse("guidance", {"kind": "classifier_free"})
stage.make = more
assert not made(digits)
"""
    assert "'guidance/classifier_free' ran, but no recipe of the job or its inputs names it" in planned(work)
