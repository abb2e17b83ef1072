"""1, 3 and 8 shards: the same generations, the same distances; a shard that is damaged or missing is named."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from conftest import command_line, digests, merge
from guidance_study.config.loading import parse
from guidance_study.execution import jobs
from guidance_study.plan.plan import Plan
from guidance_study.store.artefacts import SHARDS, Store
from guidance_study.support.errors import StudyError

FLOW = {
    "processes": {"flow": {"kind": "rectified_flow"}},
    "models": {"digits_conditional": {"process": "flow"}},
    "networks": {"mlp": {"width": 16}, "mlp_flow": {"width": 16}},
    "experiments": {
        "digits_cfg": {
            "arms": [{"space": "pixels", "k": 3, "postprocessor": "digits"}],
            "pool": {"n": 60, "scales": [1, 2]},
            "evaluation": {"repeats": 1, "n": 75},
        },
    },
    "postprocessors": {"digits": {"solver": {"rtol": 1.0e-4, "atol": 1.0e-4, "block": 10}}},
}


@pytest.fixture
def plan(tiny):
    config = merge(tiny, FLOW)
    config["experiments"] = {"digits_cfg": config["experiments"]["digits_cfg"]}
    config["experiments"]["digits_cfg"]["sampler"] = {"kind": "dopri5", "rtol": 1e-4, "atol": 1e-4, "block": 10}
    config["tables"] = {"table_digits_nn": config["tables"]["table_digits_nn"]}
    return Plan(parse(config | {"figures": {}, "trajectories": {}, "all": ["table_digits_nn"]}))


def build(plan: Plan, root, shards: int) -> Store:
    """Everything of the table, what can be shared made by this many shards in a strange order."""
    store = Store(root)
    for artefact in plan.ancestors(["table_digits_nn"]):
        markers = []
        if shards > 1 and artefact.spec.shards:
            folder = root / SHARDS / artefact.address
            markers = [folder / f"{i}-of-{shards}.json" for i in range(shards)]
            for i in reversed(range(shards)):
                jobs.run_shard(artefact.recipe, markers[i], i, shards, root)
        jobs.run_job(artefact.recipe, artefact.address, root, markers)
    return store


def test_the_number_of_shards_changes_no_generation_and_no_distance(plan, tmp_path):
    stores = {n: build(plan, tmp_path / str(n), n) for n in (1, 3, 8)}
    assert stores[1].addresses() == stores[3].addresses() == stores[8].addresses()
    shared = [a for a in plan.ancestors(["table_digits_nn"]) if a.spec.shards]
    assert {a.stage for a in shared} == {"samples", "postprocessed"}
    for artefact in shared:
        whole = np.load(stores[1].root / artefact.address / "samples.npy")
        nfe = stores[1].manifest(artefact.address)["facts"]["nfe"]
        for n in (3, 8):
            parts = np.load(stores[n].root / artefact.address / "samples.npy")
            assert np.abs(parts - whole).max() <= 1e-6
            assert stores[n].manifest(artefact.address)["facts"]["nfe"] == nfe  # blocks are never split
    rows = {n: measures(store) for n, store in stores.items()}
    for n in (3, 8):
        assert rows[n].keys() == rows[1].keys()
        assert [rows[n][key] for key in rows[1]] == pytest.approx(list(rows[1].values()), rel=1e-6)
    assert not any((stores[3].root / SHARDS).glob("*")) or not list((stores[3].root / SHARDS).rglob("*.npy"))


def measures(store: Store) -> dict:
    (address,) = [a for a in store.addresses() if a.startswith("measures/")]
    rows = json.loads((store.root / address / "measures.json").read_text())["rows"]
    return {(r["state"], r["arm"], r["metric"], r["reference"]): r["value"] for r in rows}


def test_a_damaged_shard_is_named_removed_and_made_again(plan, tmp_path):
    artefacts = plan.ancestors(["table_digits_nn"])
    samples = next(a for a in artefacts if a.stage == "samples")
    for artefact in samples.ancestors():
        if artefact is not samples:
            jobs.run_job(artefact.recipe, artefact.address, tmp_path)
    folder = tmp_path / SHARDS / samples.address
    markers = [folder / f"{i}-of-3.json" for i in range(3)]
    for i in (0, 1):
        jobs.run_shard(samples.recipe, markers[i], i, 3, tmp_path)
    with pytest.raises(StudyError, match=r"2-of-3\.json' cannot be read"):
        jobs.run_job(samples.recipe, samples.address, tmp_path, markers)
    with pytest.raises(StudyError, match=r"cover \d+ of \d+ rows"):
        jobs.run_job(samples.recipe, samples.address, tmp_path, markers[:2])
    jobs.run_shard(samples.recipe, markers[2], 2, 3, tmp_path)
    with (folder / "samples.npy").open("r+b") as data:
        data.seek(-5, 2)
        data.write(b"\x01")
    with pytest.raises(StudyError, match=r"2-of-3\.json' is damaged"):
        jobs.run_job(samples.recipe, samples.address, tmp_path, markers)
    assert not markers[2].exists()
    assert samples.address not in digests_of(tmp_path)
    jobs.run_shard(samples.recipe, markers[2], 2, 3, tmp_path)
    jobs.run_job(samples.recipe, samples.address, tmp_path, markers)
    assert Store(tmp_path).damages(samples.address) == []
    assert not folder.exists()


MARKERS = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("finished"),
    "another JSON": lambda path: path.write_text("[1, 2]"),
    "lacking": lambda path: path.write_text('{"name": "samples.npy"}'),
    "rows of text": lambda path: change(path, rows=["0", "9"]),
    "a name elsewhere": lambda path: change(path, name="../samples.npy"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe"),
}
ARRAYS = {
    "big-endian": lambda path: patch(path, path.read_bytes().replace(b"<f4", b">f4", 1)),
    "longer": lambda path: patch(path, path.read_bytes() + bytes(100)),
    "shorter": lambda path: patch(path, path.read_bytes()[:-1]),
    "another shape": lambda path: patch(path, path.read_bytes().replace(b"(75,", b"(57,", 1)),
    "gone": lambda path: path.unlink(),
}
INSTEAD = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link": lambda path: path.symlink_to(path.with_name("elsewhere.npy")),
}


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def patch(path, content: bytes):
    assert content != path.read_bytes()
    path.write_bytes(content)


@pytest.mark.parametrize("of", ["marker", "array"])
def test_shards_are_used_only_as_they_were_written(plan, tmp_path, of):
    """Whatever is damaged: one sentence, and what is made after it has the bytes of an undisturbed run."""
    samples = next(a for a in plan.ancestors(["table_digits_nn"]) if a.stage == "samples")
    for artefact in samples.ancestors():
        if artefact is not samples:
            jobs.run_job(artefact.recipe, artefact.address, tmp_path)
    jobs.run_job(samples.recipe, samples.address, tmp_path)
    undisturbed = Store(tmp_path).manifest(samples.address)["files"]
    shutil.rmtree(tmp_path / samples.address)
    folder = tmp_path / SHARDS / samples.address
    markers = [folder / f"{i}-of-2.json" for i in range(2)]
    for damage in (MARKERS if of == "marker" else ARRAYS).values():
        for i, marker in enumerate(markers):
            if not marker.exists():
                jobs.run_shard(samples.recipe, marker, i, 2, tmp_path)
        damage(markers[1] if of == "marker" else folder / "samples.npy")
        with pytest.raises(StudyError) as caught:
            jobs.run_job(samples.recipe, samples.address, tmp_path, markers)
        assert "\n" not in str(caught.value)
        assert not markers[1].exists()
    for i, marker in enumerate(markers):
        jobs.run_shard(samples.recipe, marker, i, 2, tmp_path)
    jobs.run_job(samples.recipe, samples.address, tmp_path, markers)
    assert Store(tmp_path).manifest(samples.address)["files"] == undisturbed


@pytest.mark.parametrize("what", INSTEAD)
def test_shards_write_into_a_file_of_their_own_alone(plan, tmp_path, what):
    samples = next(a for a in plan.ancestors(["table_digits_nn"]) if a.stage == "samples")
    for artefact in samples.ancestors():
        if artefact is not samples:
            jobs.run_job(artefact.recipe, artefact.address, tmp_path)
    folder = tmp_path / SHARDS / samples.address
    folder.mkdir(parents=True)
    INSTEAD[what](folder / "samples.npy")
    with pytest.raises(StudyError, match=r"samples\.npy' is no file"):
        jobs.run_shard(samples.recipe, folder / "0-of-2.json", 0, 2, tmp_path)


def digests_of(root) -> list[str]:
    store = Store(root)
    return [a for a in store.addresses() if not store.damages(a)]


@pytest.mark.slow
def test_snakemake_runs_shards_and_another_number_of_them_reruns_nothing(tiny, project, snakemake):
    tiny["execution"] |= {"shards": 3, "shard_rows": 20}
    for experiment in ("digits_cfg", "digits_cg"):
        tiny["experiments"][experiment]["arms"] = [{"space": "pixels", "k": 3, "postprocessor": "digits"}]
    tiny["tables"] = {"table_digits_nn": tiny["tables"]["table_digits_nn"]}
    tiny |= {"figures": {}, "trajectories": {}, "all": ["table_digits_nn"]}
    folder = project(tiny)
    planned = snakemake(folder, "-n").stdout
    assert re.search(r"^shard +9$", planned, flags=re.M)  # three of the pool, of the evaluated, of the flowed
    snakemake(folder)
    assert not list((folder / "results" / SHARDS).rglob("*.json"))
    tiny["execution"] |= {"shards": 2}
    other = project(tiny, "other")
    (other / "results").symlink_to(folder / "results")
    assert "Nothing to be done" in snakemake(other).stdout
    tiny["execution"] |= {"shards": 1}
    alone = project(tiny, "alone")
    assert command_line(alone, "run").returncode == 0
    assert set(digests(folder)) == set(digests(alone))
    for address in (a for a in digests(alone) if a.startswith("samples/")):
        a, b = (np.load(f / "results" / address / "samples.npy") for f in (folder, alone))
        assert np.abs(a - b).max() < 1e-2  # rounding, as test_samples.py bounds it; other images differ by about 1
