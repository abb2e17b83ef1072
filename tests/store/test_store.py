"""The store: atomic artefacts, manifests that vouch for every byte, and nothing half-written in use."""

import json
import os
import subprocess
from types import SimpleNamespace

import pytest
from guidance_study.plan.recipes import Artefact
from guidance_study.store.artefacts import SCRATCH, DamagedArtefact, Store
from guidance_study.store.publishing import damages, publish, publish_all
from guidance_study.support.writing import atomic_write

ARTEFACT = Artefact("neighbours", "pixels-k1", {"k": 1})
RUN = {"recipe": ARTEFACT.recipe, "facts": {}, "run": {}}


def write(store: Store, content: bytes = b"abc") -> None:
    with store.write(ARTEFACT.address, lambda: dict(RUN)) as out:
        for name in ARTEFACT.spec.files:
            (out / name).write_bytes(content)


def test_written_artefact_is_complete_and_sound(tmp_path):
    store = Store(tmp_path)
    assert not store.has(ARTEFACT)
    write(store)
    assert store.has(ARTEFACT)
    assert store.damages(ARTEFACT.address) == []
    assert store.open(ARTEFACT.address) == tmp_path / ARTEFACT.address
    assert store.addresses() == [ARTEFACT.address]
    assert not any((tmp_path / SCRATCH).iterdir())


def test_every_flipped_byte_is_found(tmp_path):
    store = Store(tmp_path)
    write(store)
    for path in sorted((tmp_path / ARTEFACT.address).iterdir()):
        whole = path.read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 50)):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            damages = store.damages(ARTEFACT.address)
            assert damages, (path.name, position)
            assert path.name in damages[0]
            with pytest.raises(DamagedArtefact):
                store.open(ARTEFACT.address)
        path.write_bytes(whole)
    assert store.damages(ARTEFACT.address) == []


def test_no_flipped_byte_of_a_manifest_breaks_a_look_at_the_store(tmp_path):
    store = Store(tmp_path)
    table = written_table(store, "one")
    publish(store, table.address)
    for path in (store.manifest_path(table.address), tmp_path / "tables" / "table_x.manifest.json"):
        whole = path.read_bytes()
        for position in range(len(whole)):
            path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
            store.has(table)
            assert store.damages(table.address) + damages(store), position
        path.write_bytes(whole)


def test_a_damaged_table_is_not_published(tmp_path):
    store = Store(tmp_path)
    table = written_table(store, "one")
    publish(store, table.address)
    (tmp_path / table.address / "table.csv").write_text("bad")
    publish_all(SimpleNamespace(targets={"table_x": table}), tmp_path)
    assert (tmp_path / "tables" / "table_x.csv").read_text() == "one"


def test_missing_file_and_missing_manifest_are_named(tmp_path):
    store = Store(tmp_path)
    write(store)
    (tmp_path / ARTEFACT.address / "index.npy").unlink()
    assert "index.npy' is missing" in store.damages(ARTEFACT.address)[0]
    assert not store.has(ARTEFACT)
    (tmp_path / ARTEFACT.address / "manifest.json").unlink()
    assert "manifest.json' is missing" in store.damages(ARTEFACT.address)[0]


def test_a_failing_stage_leaves_nothing(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError), store.write(ARTEFACT.address, lambda: dict(RUN)) as out:
        (out / "index.npy").write_bytes(b"half")
        1 / 0  # noqa: B018
    assert store.addresses() == []
    assert not any((tmp_path / SCRATCH).iterdir())


def test_a_stage_that_forgets_a_file_fails(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"wrote no 'distance\.npy'"),
        Store(tmp_path).write(ARTEFACT.address, lambda: dict(RUN)) as out,
    ):
        (out / "index.npy").write_bytes(b"x")


def test_leftovers_of_dead_jobs_are_swept_and_of_live_ones_kept(tmp_path):
    store = Store(tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    with store.write(ARTEFACT.address, lambda: dict(RUN)) as out:
        for name in ARTEFACT.spec.files:
            (out / name).write_bytes(b"abc")
        stem, host, _ = out.name.rsplit("@", 2)
    dead = tmp_path / SCRATCH / f"{stem}@{host}@{ended.pid}"
    alive = tmp_path / SCRATCH / f"{stem}@{host}@{os.getppid()}"
    dead.mkdir()
    alive.mkdir()
    write(store)
    assert not dead.exists()
    assert alive.exists()


def test_an_artefact_of_another_recipe_is_not_this_one(tmp_path):
    store = Store(tmp_path)
    write(store)
    path = store.manifest_path(ARTEFACT.address)
    manifest = json.loads(path.read_text())
    manifest["recipe"]["params"]["k"] = 2
    path.write_text(json.dumps(manifest))
    assert not store.has(ARTEFACT)
    assert "altered after it was written" in store.damages(ARTEFACT.address)[0]
    other = Artefact("neighbours", "pixels-k1", {"k": 2})
    write(store)
    (tmp_path / ARTEFACT.address).rename(tmp_path / other.address)
    assert not store.has(other)
    assert "the recipe of another artefact" in store.damages(other.address)[0]


def written_table(store: Store, content: str) -> Artefact:
    table = Artefact("table", "table_x", {"name": "table_x", "content": content})
    with store.write(table.address, lambda: {"recipe": table.recipe, "facts": {}, "run": {}}) as out:
        for name in table.spec.files:
            (out / name).write_text(content)
    return table


def test_published_copies_show_the_configuration_that_ran_last(tmp_path):
    store = Store(tmp_path)
    first, second = written_table(store, "one"), written_table(store, "two")
    for table, content in ((first, "one"), (second, "two"), (first, "one")):
        publish(store, table.address)
        assert (tmp_path / "tables" / "table_x.csv").read_text() == content
        assert damages(store) == []
    assert sorted(p.name for p in (tmp_path / "tables").iterdir()) == [
        "table_x.csv", "table_x.html", "table_x.manifest.json", "table_x.md", "table_x.tex",
    ]  # fmt: skip


def test_a_damaged_copy_is_named_and_mended(tmp_path):
    store = Store(tmp_path)
    table = written_table(store, "one")
    publish(store, table.address)
    (tmp_path / "tables" / "table_x.md").write_text("other")
    assert ["table_x.md' is damaged" in damage for damage in damages(store)] == [True]
    publish(store, table.address)
    assert damages(store) == []


def test_atomic_write_replaces(tmp_path):
    atomic_write(tmp_path / "a" / "index.tsv", b"1")
    atomic_write(tmp_path / "a" / "index.tsv", b"2")
    assert [p.read_text() for p in (tmp_path / "a").iterdir()] == ["2"]
