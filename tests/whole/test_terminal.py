"""What `make` prints."""

import re
import shutil
import subprocess

import pytest
from conftest import environment, snakemake_command

pytestmark = pytest.mark.slow


def test_a_quiet_terminal_has_a_line_a_job_and_says_why_one_failed(project, tiny):
    """`make` prints so: no line longer than 160 characters, and of a failed job the end of its own log."""
    folder = project(tiny, "quiet")

    def run(*arguments: str):
        command = [*snakemake_command(*arguments), "--logger", "lines"]
        return subprocess.run(command, cwd=folder, env=environment(), text=True, capture_output=True)

    done = run("table_digits")
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert max(map(len, lines)) <= 160
    finished = [line for line in lines if re.match(r" *\d+/\d+ +\S+ \S+ left  ", line)]
    assert (
        len(finished) == len({line.split("left")[1] for line in finished}) == int(finished[-1].split("/")[1].split()[0])
    )
    assert len(lines) <= len(finished) + 5
    assert "Nothing to be done" in run("table_digits").stderr
    shutil.rmtree(next((folder / "results" / "table").iterdir()))
    (folder / "results" / ".tmp").rmdir()
    (folder / "results" / ".tmp").write_text("in the way of every job")
    failed = run("table_digits")
    assert failed.returncode != 0
    assert "failed: " in failed.stderr
    assert "its log: results/logs/" in failed.stderr
    assert "error: " in failed.stderr
    assert max(map(len, failed.stderr.splitlines())) <= 160
