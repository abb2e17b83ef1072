"""A copy of the package whose code tests change, and what its units of code are."""

import shutil
from pathlib import Path

import pytest
from conftest import TOP, merge, read
from guidance_study.config.loading import parse
from guidance_study.plan import code
from guidance_study.plan.code import PACKAGE, Code
from guidance_study.plan.plan import Plan


@pytest.fixture
def package(tmp_path) -> Path:
    """A copy of the package, whose code a test may change."""
    copy = tmp_path / "guidance_study"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def planned(package, monkeypatch):
    """A function: the artefacts of a study, in order, as the package's copy now plans them."""

    def artefacts(study) -> list:
        monkeypatch.setattr(code, "present", lambda: found)
        found = Code(package)
        return list(Plan(study).artefacts.values())

    return artefacts


@pytest.fixture(scope="module")
def papers():
    """The paper's study: every kind of data, network and space that there is."""
    return parse(merge(read(TOP / "config.yaml"), read(TOP / "config" / "paper.yaml")))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def kinds(value) -> set[str]:
    """Every kind that parameters name, anywhere."""
    if isinstance(value, list):
        return set().union(*map(kinds, value))
    if not isinstance(value, dict):
        return set()
    return set().union(*map(kinds, value.values())) | ({value["kind"]} if "kind" in value else set())


def digests(package: Path) -> dict[str, str]:
    now = Code(package)
    return {unit: now.digest(unit) for unit in now.units()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {unit for unit in before.keys() | after.keys() if before.get(unit) != after.get(unit)}
