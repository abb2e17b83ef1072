"""Whatever single damage a store takes is found before the bytes are used, and commands say it in a sentence."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fuzz
import numpy as np
import pytest
from conftest import TOP, environment, parse
from filled_store import fill, rewrite
from guidance_study.__main__ import main
from guidance_study.plan.plan import Plan
from guidance_study.store import disk
from guidance_study.store.artefacts import SCRATCH, Store
from guidance_study.store.index import write_index
from guidance_study.store.stale import problems
from guidance_study.support import settings
from guidance_study.support.errors import StudyError
from guidance_study.support.reading import Unreadable, read_array, read_json
from guidance_study.support.writing import scratch_name
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished store of one table, with small made-up files, and its plan."""
    from conftest import read

    plan = Plan(parse(read(TOP / "config.yaml")))
    root = tmp_path_factory.mktemp("whole") / "results"
    fill(root, plan.ancestors(["table_1"]))
    write_index(plan, root)
    return root, plan


DAMAGES = {
    "flip": lambda path, at: path.write_bytes(_flipped(path.read_bytes(), at)),
    # The last byte of a manifest, a line's end, says nothing.
    "cut": lambda path, at: path.write_bytes(path.read_bytes()[: int(at * (path.stat().st_size - 1))]),
    "append": lambda path, at: path.write_bytes(path.read_bytes() + b"\0"),
    "delete": lambda path, at: path.unlink(),
    "folder": lambda path, at: (path.unlink(), path.mkdir()),
    "pipe": lambda path, at: (path.unlink(), os.mkfifo(path)),
    "dangling link": lambda path, at: (path.unlink(), path.symlink_to(path.with_name("nowhere"))),
    "link to itself": lambda path, at: (path.unlink(), path.symlink_to(path)),
}


def _flipped(content: bytes, at: float) -> bytes:
    bit = min(int(at * 8 * len(content)), 8 * len(content) - 1)
    flipped = bytearray(content)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


@pytest.mark.fuzz
@fuzz.tries("damage")
@given(st.data())
def test_any_single_damage_to_an_artefact_is_found_before_it_is_read(whole, tmp_path_factory, data):
    root, _ = whole
    copy = tmp_path_factory.mktemp("damage") / "results"
    shutil.copytree(root, copy)
    store = Store(copy)
    addresses = store.addresses()
    files = sorted(path for address in addresses for path in (copy / address).iterdir())
    path, other = (data.draw(st.sampled_from(files), label=label) for label in ("file", "other"))
    damage = data.draw(st.sampled_from([*DAMAGES, "swap"]), label="damage")
    at = data.draw(st.integers(0, 9999), label="at") / 10000
    if fuzz.over("damage") or (damage == "swap" and path.read_bytes() == other.read_bytes()):
        shutil.rmtree(copy.parent)
        return
    if damage == "swap":
        first, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(first)
    else:
        DAMAGES[damage](path, at)
    address = f"{path.parent.parent.name}/{path.parent.name}"
    said = store.damages(address)
    assert said
    assert all("\n" not in sentence for sentence in said)
    with pytest.raises(StudyError, match="delete '"):
        store.open(address)
    assert isinstance(problems(store, addresses), list)
    assert main(["verify", "--results", str(copy)]) == 1
    fuzz.counts["damage", "found"] += 1
    shutil.rmtree(copy.parent)


def test_a_manifest_written_by_another_hand_is_a_damaged_one(whole, tmp_path):
    root = shutil.copytree(whole[0], tmp_path / "results")
    store = Store(root)
    address = store.addresses()[0]
    path = store.manifest_path(address)
    before = path.read_bytes()
    for change in (
        lambda made: made.pop("recipe"),
        lambda made: made.pop("files"),
        lambda made: made.update(files=[1]),
        lambda made: made["recipe"].pop("inputs"),
    ):
        path.write_bytes(before)
        rewrite(path, change)
        assert store.damages(address) == [f"'{path}' is damaged: it is not a manifest any more"]
    for content in (b"\xff", b"[" * 100000, b"null", b"{}", b'{"digest": NaN}'):
        path.write_bytes(content)
        (said,) = store.damages(address)
        assert "is damaged" in said


def test_verify_of_a_folder_that_is_no_store_is_an_error(tmp_path, capsys):
    for folder in (tmp_path, tmp_path / "wrong"):
        assert main(["verify", "--results", str(folder)]) == 2
        assert "holds no artefact; name the store with --results" in capsys.readouterr().err


def test_cleaning_follows_no_link_out_of_the_store(whole, tmp_path):
    root = shutil.copytree(whole[0], tmp_path / "results")
    outside = tmp_path / "outside"
    mine = outside / scratch_name("samples.x").replace(str(os.getpid()), "999999999")
    (mine / "inside").mkdir(parents=True)
    (root / SCRATCH).rmdir()
    (root / SCRATCH).symlink_to(outside)
    needs = disk.Needs((whole[1],))
    lines = list(disk.clean(root, needs, True))
    assert (mine / "inside").is_dir()
    assert any("behind a link" in line for line in lines)


def test_reports_go_where_they_can_or_say_why_not(tmp_path):
    """`provenance --out` a folder, a full device, Ctrl-C: one sentence and an exit status."""
    command = [sys.executable, "-m", "guidance_study"]
    shared = {"cwd": TOP, "env": environment() | {"PYTHONPATH": str(TOP / "workflow")}, "text": True}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*command, "schema"], stdout=full, stderr=subprocess.PIPE, **shared)
    assert done.returncode == 2
    assert done.stderr == "error: the output cannot be written: the disk is full; free some space and run again\n"


def test_an_interrupt_is_a_sentence(monkeypatch, capsys):
    from guidance_study.commands import verify

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "run", interrupted)
    assert main(["verify"]) == 130
    assert capsys.readouterr().err == "stopped; run again to go on\n"


def test_a_report_into_a_folder_and_a_store_over_two_disks_say_what_to_do(tmp_path):
    from guidance_study.support.writing import Unwritable, atomic_write, explained

    (tmp_path / "folder").mkdir()
    with pytest.raises(Unwritable, match="a folder lies where the file should be"):
        atomic_write(tmp_path / "folder", b"x")
    with pytest.raises(Unwritable, match="link the whole store there"), explained(tmp_path / "a"):
        raise OSError(errno.EXDEV, "Invalid cross-device link", str(tmp_path / "a"))


@pytest.mark.parametrize(
    ("name", "default", "bad"),
    [
        ("inference_batch", 2048, ["abc", "0", "-1", "1.5", ""]),
        ("checkpoint_seconds", 60.0, ["abc", "0", "nan", "inf"]),
        ("gpu_lock", False, ["maybe", ""]),
    ],
)
def test_a_setting_that_is_none_is_named(monkeypatch, name, default, bad):
    variable = settings.SETTINGS + name.upper()
    for text in bad:
        monkeypatch.setenv(variable, text)
        with pytest.raises(StudyError, match=f"environment variable {variable} has the value '{text}': it must be"):
            settings.setting(name, default)


def test_the_doors_run_nothing_and_say_what_is_wrong(tmp_path):
    class Payload:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    array = tmp_path / "array.npy"
    np.save(array, np.array([Payload()], dtype=object), allow_pickle=True)
    with pytest.raises(Unreadable, match=r"array\.npy' is damaged: it is not an array any more"):
        read_array(array)
    assert not (tmp_path / "ran").exists()
    os.mkfifo(tmp_path / "pipe")
    for path, part in ((tmp_path / "pipe", "no file"), (tmp_path, "no file"), (tmp_path / "gone", "cannot be read")):
        for read in (read_array, read_json):
            with pytest.raises(Unreadable, match=part):
                read(path)
