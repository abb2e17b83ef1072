"""A change of what a stage computes must not keep its version; comments, docstrings and formatting may change."""

import shutil

import pytest
from guidance_study.config.stages import STAGES
from guidance_study.plan import code as code_digests


def test_recorded_digests_are_current():
    assert code_digests.check() == []


def test_comments_docstrings_and_formatting_do_not_count():
    plain = 'def f(x):\n    """Doc."""\n    return x + 1\n'
    edited = 'def f( x ):\n    """Other words."""\n    # why\n    return (x\n        + 1)\n'
    assert code_digests.stripped(plain) == code_digests.stripped(edited)
    bare = plain.replace('    """Doc."""\n', "")
    assert code_digests.stripped(plain) == code_digests.stripped(bare)
    assert code_digests.stripped(plain) != code_digests.stripped(plain.replace("+ 1", "+ 2"))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package whose code a test may change."""
    copy = tmp_path / "guidance_study"
    shutil.copytree(code_digests.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digests, "PACKAGE", copy)
    monkeypatch.setattr(code_digests, "RECORD", tmp_path / "code_digests.json")
    code_digests._module.cache_clear()
    code_digests.record(list(STAGES))  # of the present code, whatever the project's own record says
    yield copy
    code_digests._module.cache_clear()


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    code_digests._module.cache_clear()


def changed(problems):
    return {problem.split("'")[1] for problem in problems}


@pytest.mark.parametrize(
    ("module", "old", "new", "stages"),
    [
        ("guidance/classifier_free.py", "scale == 1", "scale == 2", {"samples", "paths", "cost"}),
        ("datasets/digits.py", "/ 8 - 1", "/ 9 - 1",
         {"dataset", "paths", "measures", "table", "figure"}),
        ("metrics/frechet.py", "- 2 * cross", "- 3 * cross", {"measures", "statistics"}),
        ("reporting/images.py", '"yes"', '"YES"', {"table"}),
        ("training.py", "1 + math.cos", "2 + math.cos", {"denoiser", "classifier", "postprocessor"}),
        ("processes/rectified_flow.py", "end - start", "start - end",
         {"denoiser", "samples", "postprocessor", "postprocessed", "paths", "cost"}),
    ],
)  # fmt: skip
def test_a_changed_computation_is_noticed_by_the_stages_that_run_it(package, module, old, new, stages):
    assert code_digests.check() == []
    edit(package / module, old, new)
    assert changed(code_digests.check()) == stages


def test_a_changed_comment_or_docstring_is_not(package):
    edit(
        package / "training.py",
        '"""The one training loop',
        '# a comment\n"""Another docstring: the one training loop',
    )
    assert code_digests.check() == []


def test_raising_the_version_without_recording_it_is_named(package, monkeypatch):
    from dataclasses import replace

    monkeypatch.setitem(STAGES, "samples", replace(STAGES["samples"], version=99))
    assert changed(code_digests.check()) == {"samples"}
