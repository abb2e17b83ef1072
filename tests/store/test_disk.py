"""Disk use and cleaning: what is needed is never deleted, what goes is said first, what is foreign is left alone."""

import fcntl
import os
import socket
import subprocess
from pathlib import Path

import pytest
import yaml
from filled_store import fill
from guidance_study.__main__ import main
from guidance_study.config.loading import load
from guidance_study.plan.plan import Plan
from guidance_study.store.artefacts import Store
from guidance_study.store.index import write_index
from guidance_study.store.lock import Lock

OVERLAYS = {
    "other_k.yaml": {"experiments": {"digits_cfg": {"arms": [{"space": "pixels", "k": 7, "postprocessor": "digits"}]}}},
    "seed.yaml": {"seeds": [5]},
}


class Lab:
    """A folder with a tiny study, two overlays, and a store in which all three are finished."""

    def __init__(self, folder: Path, config: dict):
        self.config, self.results = folder / "config.yaml", folder / "results"
        config["tables"] = {"table_digits_nn": config["tables"]["table_digits_nn"]}
        config |= {"figures": {}, "all": ["table_digits_nn"]}
        self.config.write_text(yaml.safe_dump(config))
        for name, changes in OVERLAYS.items():
            (folder / name).write_text(yaml.safe_dump(changes))
        self.paths = {name: folder / name for name in OVERLAYS}
        self.base = self.plan()
        self.plans = [self.base, *(self.plan(name) for name in OVERLAYS)]
        self.store = Store(self.results)
        artefacts = {a.address: a for plan in self.plans for a in plan.artefacts.values()}
        fill(self.results, artefacts.values())
        for plan in self.plans:
            write_index(plan, self.results)

    def plan(self, *overlays: str) -> Plan:
        return Plan(load([self.config, *(self.paths[name] for name in overlays)]))

    def call(self, command: str, *overlays: str, yes: bool = False) -> int:
        more = ["--configfile", *(str(self.paths[name]) for name in overlays)] if overlays else []
        flags = ["--yes"] if yes else []
        return main([command, "--config", str(self.config), "--results", str(self.results), *more, *flags])

    def tree(self) -> dict[str, bytes]:
        """Every file below the store but the lock -> its bytes; folders -> b""."""
        paths = [path for path in self.results.rglob("*") if path.name != ".lock"]
        return {str(p.relative_to(self.results)): p.read_bytes() if p.is_file() else b"" for p in paths}


@pytest.fixture
def lab(tmp_path, tiny) -> Lab:
    return Lab(tmp_path, tiny)


def test_without_yes_nothing_changes_and_a_second_study_is_named_with_its_size(lab, capsys):
    before = lab.tree()
    assert lab.call("clean") == 0
    said = capsys.readouterr().out
    others = {
        a.address: a for plan in lab.plans[1:] for a in plan.artefacts.values()
    }.keys() - lab.base.artefacts.keys()
    assert len(others) > 10
    assert {line.split()[2] for line in said.splitlines() if "  " in line and line.split()[1] in ("B", "KiB")} == others
    total = sum(p.stat().st_size for a in others for p in (lab.results / a).iterdir())
    assert f"{total / 1024:.1f} KiB that no table or figure needs: {len(others)} artefacts" in said
    assert f"({len(others) * 90.5 / 3600:.1f} hours of computing)" in said
    assert "nothing was deleted; --yes deletes it" in said
    assert lab.tree() == before
    assert not (lab.results / ".lock").exists() or (lab.results / ".lock").stat().st_size == 0


def test_nothing_needed_is_deleted_and_the_rest_is_gone(lab, capsys):
    needed = set(lab.base.artefacts)
    before = lab.tree()
    assert lab.call("clean", yes=True) == 0
    assert set(lab.store.addresses()) == needed
    assert all(lab.store.damages(address) == [] for address in needed)
    after = lab.tree()
    assert all(before[name] == content for name, content in after.items() if name != "index.tsv")
    index = {line.split("\t")[0] for line in (lab.results / "index.tsv").read_text().splitlines()[1:]}
    assert index == needed
    capsys.readouterr()
    lab.call("clean", yes=True)
    assert "0 artefacts" in capsys.readouterr().out
    assert lab.tree() == after


def test_every_reading_of_the_given_files_is_needed(lab):
    lab.call("clean", "other_k.yaml", "seed.yaml", yes=True)  # the base, each overlay alone, and both together
    assert set(lab.store.addresses()) == {a for plan in lab.plans for a in plan.artefacts}
    lab.call("clean", "seed.yaml", yes=True)
    assert set(lab.store.addresses()) == {*lab.base.artefacts, *lab.plan("seed.yaml").artefacts}


def test_what_is_damaged_or_foreign_is_left_alone_and_named(lab, capsys, tmp_path):
    others = sorted(lab.plan("seed.yaml").artefacts.keys() - lab.base.artefacts.keys())
    no_manifest, bad_manifest, moved, extra, fewer, linked = others[:6]
    lab.store.manifest_path(no_manifest).unlink()
    lab.store.manifest_path(bad_manifest).write_text("{}")
    renamed = f"{moved[:-16]}{'0' * 16}"
    (lab.results / moved).rename(lab.results / renamed)
    (lab.results / extra / "notes.txt").write_text("mine")
    next(p for p in (lab.results / fewer).iterdir() if p.name != "manifest.json").unlink()
    (lab.results / linked).rename(tmp_path / "elsewhere")
    (lab.results / linked).symlink_to(tmp_path / "elsewhere")
    mine = lab.results / "denoiser" / "my-trials"
    mine.mkdir()
    (mine / "a").write_text("x")
    (lab.results / "my_stage" / f"x-{'0' * 16}").mkdir(parents=True)
    (lab.results / "my_stage" / f"x-{'0' * 16}" / "manifest.json").write_text("{}")
    (lab.results / "paper.pdf").write_text("x")
    kept = {no_manifest, bad_manifest, renamed, extra, fewer, linked, "denoiser/my-trials"}
    before = lab.tree()
    assert lab.call("clean", yes=True) == 0
    said = capsys.readouterr().out
    for address in kept:
        assert any(line.split()[:3] == ["left", "alone", address] for line in said.splitlines()), address
    after = lab.tree()
    assert set(lab.store.addresses()) == {*lab.base.artefacts, *kept}
    for name, content in before.items():
        if name.startswith((*kept, "my_stage", "paper.pdf")):
            assert after[name] == content
    assert (tmp_path / "elsewhere" / "manifest.json").is_file()


def test_checkpoints_of_finished_artefacts_and_scratch_of_dead_jobs_go(lab, capsys):
    finished, needed_still, other_still = (
        next(a for a in lab.base.artefacts if a.startswith("denoiser/")),
        next(a for a in lab.base.artefacts if a.startswith("postprocessor/")),
        next(
            a for a in lab.plan("seed.yaml").artefacts.keys() - lab.base.artefacts.keys() if a.startswith("denoiser/")
        ),
    )
    ended = subprocess.Popen(["true"])
    ended.wait()
    host = socket.gethostname()
    gone = [f".checkpoints/{finished}", f".shards/{finished}", f".tmp/x@{host}@{ended.pid}"]
    stays = [
        f".checkpoints/{needed_still}", f".checkpoints/{other_still}", f".tmp/x@{host}@{os.getppid()}",
        f".tmp/x@not-{host}@{ended.pid}", ".tmp/mine",
    ]  # fmt: skip
    for name in (*gone, *stays):
        (lab.results / name).mkdir(parents=True)
        (lab.results / name / "file").write_text("x")
    lab.store.manifest_path(needed_still).unlink()
    lab.store.manifest_path(other_still).unlink()
    lab.call("clean", yes=True)
    assert [name for name in gone if (lab.results / name).exists()] == []
    assert [name for name in stays if not (lab.results / name / "file").is_file()] == []
    said = capsys.readouterr().out
    assert "3 leftovers of jobs" in said
    assert f"left alone  .checkpoints/{other_still}  of an artefact that is not finished" in said
    assert needed_still not in said  # a needed training goes on: no word about it


def test_it_never_runs_beside_a_run_nor_takes_what_a_job_is_at_work_on(lab, capsys):
    before = lab.tree()
    with Lock(lab.results):
        assert lab.call("clean", yes=True) == 2
        assert "another run is writing to" in capsys.readouterr().err
        assert lab.call("clean") == 0  # looking is free
    assert lab.tree() == before
    other = next(iter(lab.plan("seed.yaml").artefacts.keys() - lab.base.artefacts.keys()))
    holder = os.open(lab.results / other, os.O_RDONLY)  # a job that outlived its run
    fcntl.flock(holder, fcntl.LOCK_EX)
    capsys.readouterr()
    lab.call("clean", yes=True)
    os.close(holder)
    assert set(lab.store.addresses()) == {*lab.base.artefacts, other}
    assert f"left alone  {other}  a job is at work on it" in capsys.readouterr().out


def test_nothing_is_cleaned_while_addresses_are_not_sure(tmp_path, tiny, capsys):
    """A folder of images that is not there now, a disk not mounted: its artefacts would look unneeded."""
    from guidance_study.store.disk import needed

    lab = Lab(tmp_path, tiny)
    overlay = tmp_path / "folder.yaml"
    overlay.write_text(
        yaml.safe_dump(
            {
                "datasets": {"mine": {"kind": "image_folder", "root": str(tmp_path / "gone"), "classes": 10,
                                      "channels": 1, "size": 8, "judges": 0.25}},
                "models": {"digits_conditional": {"dataset": "mine"}, "digits_unconditional": {"dataset": "mine"}},
                "classifiers": {
                    name: {"dataset": "mine"} for name in ("digits_noisy", "digits_features", "digits_evaluator")
                },
            }
        )
    )  # fmt: skip
    lab.paths["folder.yaml"] = overlay
    before = lab.tree()
    assert lab.call("clean", "folder.yaml", yes=True) == 2
    error = capsys.readouterr().err
    assert "nothing is cleaned as long as it is not sure what is needed: folder '" in error
    assert lab.tree() == before
    assert needed(lab.config, []).unsure() is None


def test_disk_counts_by_stage_and_by_target(lab, capsys):
    assert lab.call("disk") == 0
    lines = capsys.readouterr().out.splitlines()
    addresses = lab.store.addresses()
    total = next(line.split() for line in lines if line.startswith("all "))
    needed = sum(address in lab.base.artefacts for address in addresses)
    assert [total[1], total[4], total[7]] == [str(n) for n in (len(addresses), needed, len(addresses) - needed)]
    sizes = [
        sum(p.stat().st_size for address in addresses if test(address) for p in (lab.results / address).iterdir())
        for test in (lambda _: True, lambda a: a in lab.base.artefacts, lambda a: a not in lab.base.artefacts)
    ]
    assert [f"{n / 1024:.1f}" for n in sizes] == [total[2], total[5], total[8]]
    denoisers = next(line.split() for line in lines if line.startswith("denoiser "))
    assert denoisers[1] == str(sum(address.startswith("denoiser/") for address in addresses))
    target = next(line.split() for line in lines if line.startswith("table_digits_nn "))
    assert target[1] == str(len(lab.base.ancestors(["table_digits_nn"])))


def test_a_store_that_is_not_there_is_one_sentence(lab, tmp_path, capsys):
    for command in ("disk", "clean"):
        assert main([command, "--config", str(lab.config), "--results", str(tmp_path / "nowhere")]) == 2
        assert "nowhere' is no folder; name the store with --results" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()
