"""What rules say: inputs by the stage that makes them, and in a person's words what a job makes."""

import json
from types import SimpleNamespace

import pytest
from conftest import TOP, command_line, read
from guidance_study.execution import rulebook
from guidance_study.execution.again import unforced
from guidance_study.execution.rulebook import Rulebook
from guidance_study.store.lock import Lock
from guidance_study.support.errors import StudyError


@pytest.fixture
def book(parsed, monkeypatch):
    import os

    monkeypatch.setattr(os, "environ", dict(os.environ))  # a rulebook hands settings to its jobs
    return Rulebook(parsed())


def job(artefact) -> SimpleNamespace:
    """The wildcards of the job that makes an artefact."""
    return SimpleNamespace(stage=artefact.stage, artefact=artefact.address.split("/")[1], i="1", n="4")


def made(book, start: str):
    return next(a for a in book.plan.artefacts.values() if a.about.startswith(start))


def test_an_input_is_named_after_the_stage_that_makes_it(book):
    measures = made(book, "digits_cfg: measured at scale 2.5")
    rule = book.stage("measures")
    for stage in ("dataset", "classifier", "postprocessed", "neighbours"):
        of_stage = {f"results/{a.manifest}" for a in measures.inputs.values() if a.stage == stage}
        assert set(rule.made_from(stage)(job(measures))) == of_stage
        assert len(of_stage) == {"dataset": 1, "neighbours": 0}.get(stage, len(of_stage))


def test_a_rule_that_lacks_an_input_stops_and_names_it(book):
    samples = made(book, "digits_cg: 6000 generations")
    rule = book.stage("samples")
    rule.made_from("denoiser")
    with pytest.raises(StudyError, match="rule 'samples' has no input 'classifier', which 'samples/cg-"):
        rule.recipe(job(samples))
    rule.made_from("classifier")
    assert rule.recipe(job(samples)) == samples.recipe


def test_jobs_are_described_in_words(book):
    said = {a.about for a in book.plan.artefacts.values()}
    assert said >= {
        "dataset digits, seed 0",
        "model digits_conditional: trained for 3000 steps, seed 0",
        "digits_cfg: 6000 generations at scales 1, 2, 3 to learn from, seed 0",
        "20 nearest neighbours (features) of digits_cfg: 6000 generations at scales 1, 2, 3 to learn from, seed 0",
        "digits_cfg: flow of features_k20 from generations at scales 1, 2, 3, seed 0",
        "digits_cfg: 4500 generations at scale 2.5 after features_k20, seed 0",
        "digits_cfg: measured at scale 2.5, seed 0",
        "fractal_c_cfg: measured at scales 1, 2, 2.5, 3, seed 0",
    }
    samples = made(book, "digits_cfg: 6000")
    assert book.shard.about(job(samples), []) == f"share 2 of 4 of {samples.about}"
    assert len({a.about for a in book.plan.artefacts.values()}) == len(book.plan.artefacts)


def test_a_dry_run_beside_a_run_names_what_is_stale(book, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rulebook, "problems", lambda *_: ["stale: 'samples/x'"])
    with Lock(tmp_path / "results"):
        book.prepare(changes=False)
    assert capsys.readouterr().err == "stale: 'samples/x'\n"


@pytest.mark.parametrize("changes", [False, True])
def test_a_run_says_first_what_its_targets_lack(book, parsed, tmp_path, monkeypatch, capsys, changes):
    monkeypatch.chdir(tmp_path)  # where there is no data
    book = Rulebook(parsed(read(TOP / "config" / "paper.yaml")))
    mnist, inception = "train-images-idx3-ubyte", "inception-2015-12-05.pt"
    for targets, lacks in (
        (["table_mnist"], {mnist}),
        (["table_1", "fig_6"], {mnist}),
        (["table_2"], {inception}),
        (["table_1"], set()),
        (["results/tables/table_1.md"], set()),
        (["all"], {mnist, inception}),
        ([], {mnist, inception}),
    ):
        book.prepare(changes, targets)
        said = capsys.readouterr().err
        assert {name for name in (mnist, inception) if name in said} == lacks
        assert bool(said) == bool(lacks)
        assert all(line.startswith("missing for ") for line in said.splitlines())


@pytest.mark.parametrize(
    "arguments, targets",
    {
        "--forcerun=samples table_2": ["table_2"],
        "table_2 --forcerun samples table": ["table_2"],
        "table_2 -Rsamples": ["table_2"],
        "table_2 -pF": ["table_2"],
        "table_2 -nR x": ["table_2"],
        "--forcea table_2": ["table_2"],
        "-f -- table_2": ["table_2"],
        "-p": [],
    }.items(),
)
def test_a_repeat_keeps_targets_and_forces_nothing(arguments, targets):
    _, parsed = unforced(arguments.split())
    assert list(parsed.targets) == targets
    assert not (parsed.force or parsed.forceall or parsed.forcerun)
    assert parsed.dryrun == ("-n" in arguments)


def test_a_run_is_repeated_once(book, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(rulebook, "set_aside", lambda *_: 1)
    monkeypatch.setattr(book._lock, "__exit__", lambda *_: None, raising=False)
    monkeypatch.setattr(rulebook.subprocess, "run", lambda *a, env: calls.append(env) or SimpleNamespace(returncode=0))
    book._lock.__enter__()
    book.repeat(["/bin/snakemake", "-F"])
    with pytest.raises(StudyError, match="gave other bytes once more"):
        monkeypatch.setattr(rulebook.os, "environ", calls[0])
        book.repeat(["/bin/snakemake", "-F"])
    assert len(calls) == 1


@pytest.mark.slow
def test_words_are_printed_and_are_no_reason_to_run_again(project, tiny, snakemake):
    folder = project(tiny)
    listed = command_line(folder, "plan", "table_digits").stdout
    target = f"results/{listed.split()[2]}/manifest.json"
    assert "dataset digits, seed 0\n    dataset: threads=1, mem_mb=" in snakemake(folder, target).stdout
    text = (
        json.dumps(tiny)
        .replace('"digits": {"kind"', '"renamed": {"kind"')
        .replace('"dataset": "digits"', '"dataset": "renamed"')
    )
    (folder / "config.yaml").write_text(text)
    assert "dataset renamed" in command_line(folder, "plan", "table_digits").stdout
    assert "Nothing to be done" in snakemake(folder, target).stdout


STAGE = '''"""Stage `extremes`: the smallest and the largest number of a dataset."""

import json

import numpy as np


def make(job):
    data = np.load(job.inputs["dataset"].path / "train.npy")
    (job.out / "extremes.json").write_text(json.dumps([float(data.min()), float(data.max())]))
'''
RULE = """

extremes = book.stage("extremes")


rule extremes:
    # The smallest and the largest number of a dataset.
    input:
        dataset=extremes.made_from("dataset"),
    output:
        extremes.outputs,
    log:
        extremes.log,
    threads: extremes.threads
    resources:
        **extremes.resources,
    params:
        recipe=extremes.recipe,
        about=extremes.about,
    message:
        book.message
    script:
        "../scripts/extremes.py"
"""
TABLE = '''"""The smallest and the largest number of a dataset."""

from typing import Literal

from guidance_study.tables import Table


class ExtremesTable(Table):
    kind: Literal["extremes"]
    title: str

    def check(self, at, study):
        """Nothing to check."""

    def needs(self, plan):
        from guidance_study.plan.recipes import Artefact

        dataset = plan.dataset("digits", 0)
        return {"of": plan.add(Artefact("extremes", dataset.label, {}, {"dataset": dataset}, "extremes of digits"))}, {}

    def make(self, job):
        import json

        import pandas as pd

        from guidance_study.tables.reporting.render import framed

        low, high = json.loads((job.inputs["of"].path / "extremes.json").read_text())
        line = {"smallest": str(low), "largest": str(high)}
        return pd.DataFrame([line]), framed([line]), []
'''


@pytest.mark.slow
def test_a_new_stage_takes_a_line_and_three_files(project, tiny, snakemake):
    """And is planned, run with and without Snakemake, published and explained like any other."""
    tiny |= {"tables": {"table_extremes": {"kind": "extremes", "title": "Extremes"}}, "figures": {}, "trajectories": {}}
    folder = project(tiny | {"all": ["table_extremes"]})
    package = folder / "workflow" / "guidance_study"
    stages = package / "config" / "stages.py"
    entry = '"statistics": Stage('
    assert entry in stages.read_text()
    stages.write_text(
        stages.read_text().replace(entry, f'"extremes": Stage(("extremes.json",), small=True),\n    {entry}')
    )
    (package / "stages" / "extremes.py").write_text(STAGE)
    with (folder / "workflow" / "rules" / "measure.smk").open("a") as rules:
        rules.write(RULE)
    (folder / "workflow" / "scripts" / "extremes.py").write_text("from _job import run\n\nrun(snakemake)\n")
    (package / "tables" / "extremes.py").write_text(TABLE)  # for something to ask for it

    planned = command_line(folder, "plan").stdout
    assert "jobs: 1 dataset, 1 extremes, 1 table" in planned
    assert "extremes of digits\n    extremes: threads=1," in snakemake(folder).stdout
    assert "| -1.0 | 1.0 |" in (folder / "results" / "tables" / "table_extremes.md").read_text()
    assert "Nothing to be done" in snakemake(folder).stdout
    assert "stage    extremes" in command_line(folder, "explain", "table_extremes").stdout
    assert command_line(folder, "verify").returncode == 0
    assert "0 artefacts made" in command_line(folder, "run").stdout
