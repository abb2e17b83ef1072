"""What is recorded, kept and tolerated of the package's code: records, caches, broken and unreadable files."""

import json
from pathlib import Path

import pytest
from code_package import changed, digests, edit, kinds, package, papers, planned  # noqa: F401 - fixtures among them
from conftest import TOP, command_line
from guidance_study.plan import code
from guidance_study.plan.code import DIGITS, Code
from guidance_study.support.errors import StudyError


def test_nothing_is_recorded_where_nothing_changed(package):
    code.record(Code(package), Code(package), ["guidance/classifier_free"])
    assert not (package.parent / code.RECORD).exists()
    done = command_line(TOP, "code", "same")
    assert (done.returncode, done.stdout) == (2, "")
    assert "name at least one unit" in done.stderr
    assert "\n" not in done.stderr.strip()


def test_without_git_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(StudyError, match="cannot be had: git does not run"),
        code.at_commit("HEAD"),
    ):
        pass


def test_two_branches_that_edit_a_unit_differently_do_not_collide_when_merged(package):
    """Each says that its own edit gives the old results; their lines together say nothing of the merged code."""
    unit, record = "guidance/classifier_free", package.parent / code.RECORD
    path = package / "guidance" / "classifier_free.py"
    base, text, lines = Code(package), path.read_text(), []
    for old, new in (
        ("label, batch.scale", "label, 1 * batch.scale"),
        ("batch.scale == 1", "1 == batch.scale"),
    ):
        path.write_text(text)
        edit(path, old, new)
        record.unlink(missing_ok=True)
        code.record(Code(package), base, [unit])
        assert Code(package).revision(unit) == base.revision(unit)
        lines += record.read_text().splitlines()
    record.write_text("\n".join(lines) + "\n")
    edit(path, "label, batch.scale", "label, 1 * batch.scale")
    merged = Code(package)
    assert merged.revision(unit) == merged.digest(unit) != base.revision(unit)
    assert len(merged.same) == 2


def test_a_record_that_contradicts_itself_or_is_damaged_is_named(package):
    record = package.parent / code.RECORD
    line = f"guidance/classifier\t{'0' * DIGITS}\t{'1' * DIGITS}\n"
    record.write_text(line + line)
    assert len(Code(package).same) == 1  # two branches said the same
    record.write_text(line + line.replace("1", "2"))
    with pytest.raises(StudyError, match="says two things of guidance/classifier"):
        Code(package)
    record.write_text("<<<<<<< HEAD\n" + line)
    with pytest.raises(StudyError, match="has the line '<<<<<<< HEAD'"):
        Code(package)


def test_unknown_units_and_broken_files_are_named(package):
    with pytest.raises(StudyError, match=r"'guidance/none' is no unit of code; units are stages/dataset"):
        Code(package).digest("guidance/none")
    (package / "guidance" / "classifier.py").write_text("def f(:\n")
    with pytest.raises(StudyError, match=r"classifier\.py' is no Python"):
        Code(package).digest("guidance/classifier")


def test_a_broken_file_stops_no_other_kind_of_its_seam(package):
    before = Code(package).digest("guidance/classifier")
    (package / "guidance" / "mine.py").write_text("def f(:\n")
    now = Code(package)
    assert now.digest("guidance/classifier") == before
    for asked in (lambda: now.module("guidance/mine"), now.units):
        with pytest.raises(StudyError, match=r"mine\.py' is no Python"):
            asked()


def test_an_editors_own_files_are_no_code(package):
    before = digests(package)
    (package / "guidance" / ".#classifier.py").symlink_to("someone@host.1:2")
    (package / "guidance" / "gone.py").symlink_to("nowhere.py")
    (package / "guidance" / ".classifier.py").write_text("def f(:\n")
    (package / "guidance" / "folder.py").mkdir()
    assert digests(package) == before


def test_a_file_that_cannot_be_read_is_named(package, monkeypatch):
    path = package / "guidance" / "classifier.py"
    monkeypatch.setattr(code, "_files", lambda _: [path])
    path.unlink()
    with pytest.raises(StudyError, match=r"classifier\.py' cannot be read as a part of the code: No such file"):
        Code(package)


def test_a_kind_without_a_file_is_an_error():
    with pytest.raises(StudyError, match="no file below guidance declares the kind 'none'"):
        Code().revisions("samples", {"guidance": {"kind": "none"}})


def cache_of(package: Path) -> Path:
    now = Code(package)
    for unit in now.units():
        now.digest(unit)
    now.keep()
    (path,) = (package / "__pycache__").glob("code.*.json")
    return path


def test_what_is_parsed_is_kept_by_content(package, monkeypatch):
    before, path = digests(package), cache_of(package)
    parsed = []
    monkeypatch.setattr(code, "parsed", lambda content: parsed.append(content) or code.Source())
    assert digests(package) == before
    assert parsed == []
    edit(package / "guidance" / "classifier.py", "weight * noise", "weight + noise")
    digests(package)
    assert len(parsed) == 1
    assert json.loads(path.read_text()[64:])


@pytest.mark.parametrize("damage", ["empty", "cut", "another digest", "no JSON", "a folder"])
def test_a_damaged_cache_is_not_used(package, damage):
    before, path = digests(package), cache_of(package)
    text = path.read_text()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    else:
        broken = {"empty": "", "cut": text[:-9], "another digest": text.replace("a", "b"), "no JSON": "x" * 99}
        path.write_text(broken[damage])
    now = Code(package)
    assert {unit: now.digest(unit) for unit in now.units()} == before
    assert now.anew
    now.keep()  # where it cannot be written either, nothing happens


def test_a_package_that_cannot_be_written_is_planned_with(package):
    (package / "__pycache__").write_text("no folder")
    now = Code(package)
    now.digest("guidance/classifier")
    now.keep()
    assert (package / "__pycache__").read_text() == "no folder"
