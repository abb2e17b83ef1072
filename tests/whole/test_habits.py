"""What contributors rely on: `make help` lists every target, and the hooks run the environment's own formatters."""

import re
import subprocess

import yaml
from conftest import TOP


def test_make_help_lists_every_target():
    done = subprocess.run(["make", "--no-print-directory", "help"], cwd=TOP, text=True, capture_output=True, check=True)
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    (declared,) = re.findall(r"^\.PHONY: (.*)$", (TOP / "Makefile").read_text(), flags=re.M)
    assert listed == set(declared.split())


def test_hooks_run_what_make_lint_runs():
    hooks = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (TOP / "Makefile").read_text().replace("$(BIN)", ".venv/bin")
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["entry"].removesuffix(" --force-exclude") in lint
