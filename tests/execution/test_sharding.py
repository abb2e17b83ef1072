"""1, 3 and 8 shards: the same generations, the same distances; a shard that is damaged or missing is named."""

import json
import re

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
    with pytest.raises(FileNotFoundError):
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
