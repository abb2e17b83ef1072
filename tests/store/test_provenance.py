"""The record of a run: every file with its digest and size, every artefact with the action that made it."""

import hashlib
import json
import subprocess
import sys

import pytest
import yaml
from filled_store import fill
from guidance_study.__main__ import main
from guidance_study.config.loading import load
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import recipe_key
from guidance_study.store.provenance import METADATA


@pytest.fixture
def made(tmp_path, tiny):
    """(results, command line's options, plan) of a store in which `table_digits` and what is behind it are finished."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny))
    plan = Plan(load([tmp_path / "config.yaml"]))
    results = tmp_path / "results"
    fill(results, plan.ancestors(["table_digits"]))
    return results, ["--config", str(tmp_path / "config.yaml"), "--results", str(results)], plan


def record_of(results) -> dict[str, dict]:
    """Identifier -> entity."""
    graph = json.loads((results / METADATA).read_text())["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    assert len(entities) == len(graph)  # every identifier once
    return entities


def listed(value) -> list[dict]:
    return value if isinstance(value, list) else [value]


def test_every_artefact_has_its_files_and_the_action_that_made_it(made):
    results, options, plan = made
    assert main(["provenance", "table_digits", *options]) == 0
    entities = record_of(results)
    ancestors = plan.ancestors(["table_digits"])
    assert sum(e["@type"] == "CreateAction" for e in entities.values()) == len(ancestors)
    for artefact in ancestors:
        action = entities[f"#make/{artefact.address}"]
        assert action["result"] == {"@id": f"{artefact.address}/"}
        inputs = [e["@id"] for e in listed(action["object"]) if not e["@id"].startswith("#")]
        assert set(inputs) == {f"{a.address}/" for a in artefact.inputs.values()}
        said = entities[f"#recipe/{artefact.address}"]
        assert json.loads(said["value"]) == artefact.recipe
        assert (action["startTime"], action["endTime"]) == ("2025-01-31T23:59:00+00:00", "2025-02-01T00:00:30+00:00")
        stage = entities[action["instrument"]["@id"]]
        assert stage["softwareVersion"] == f"{recipe_key(artefact.recipe['code'])}+0123abc"
        assert [entities[e["@id"]]["softwareVersion"] for e in stage["softwareRequirements"]] == ["2.0", "3.11.7"]
        environment = {entities[e["@id"]]["name"]: entities[e["@id"]]["value"] for e in action["environment"]}
        assert environment == {
            "host": "lab1", "cpu": "a CPU", "cores": 8, "device": "cpu", "commit": "0123abc", "processes": 1,
        }  # fmt: skip
        usage = [entities[e["@id"]] for e in action["resourceUsage"]]
        assert [(u["name"], u["value"], u["unitText"]) for u in usage] == [
            ("seconds", 90.5, "s"), ("peak_memory_mib", 100.0, "MiB"),
        ]  # fmt: skip
        files = entities[f"{artefact.address}/"]["hasPart"]
        assert {e["@id"] for e in files} == {*artefact.files, artefact.manifest}


def test_digests_and_sizes_are_those_of_the_files(made):
    results, options, _ = made
    main(["provenance", "table_digits", *options])
    files = [entity for entity in record_of(results).values() if entity["@type"] == "File"]
    assert len(files) > 30
    for file in files:
        content = (results / file["@id"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == str(len(content))


def test_it_has_the_form_of_an_ro_crate_and_leads_nowhere(made):
    results, options, plan = made
    main(["provenance", "table_digits", *options])
    entities = record_of(results)
    descriptor, root = entities[METADATA], entities["./"]
    assert descriptor["conformsTo"]["@id"] == "https://w3id.org/ro/crate/1.1"
    assert descriptor["about"] == {"@id": "./"}
    assert {"name", "description", "datePublished", "license", "hasPart", "mentions", "conformsTo"} <= root.keys()

    def references(value):
        if isinstance(value, dict):
            yield from ([value["@id"]] if value.keys() == {"@id"} else [])
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    outside = {r for r in references(list(entities.values())) if r not in entities}
    assert outside == {"https://w3id.org/ro/crate/1.1"}
    digits = next(a for a in plan.ancestors(["table_digits"]) if a.stage == "dataset")
    raw = [e["@id"] for e in entities[f"#make/{digits.address}"]["object"] if e["@id"].startswith("#sha256-")]
    assert [entities[r]["sha256"] for r in raw] == list(digits.params["raw"].values())
    assert json.loads(entities["#configuration"]["text"]) == plan.study.plain()


def test_the_same_store_gives_the_same_bytes_and_another_file_may_be_named(made, tmp_path):
    results, options, _ = made
    main(["provenance", "table_digits", *options])
    main(["provenance", "table_digits", "--out", str(tmp_path / "record.json"), *options])
    assert (tmp_path / "record.json").read_bytes() == (results / METADATA).read_bytes()


def test_missing_and_damaged_artefacts_are_one_sentence(made, capsys):
    results, options, plan = made
    assert main(["provenance", "table_digits", "fig_digits_pca", *options]) == 2
    error = capsys.readouterr().err
    assert "artefacts behind table_digits, fig_digits_pca are not there, the first is '" in error
    assert "snakemake --cores all table_digits fig_digits_pca" in error
    (results / plan.targets["table_digits"].files[0]).write_text("other")
    assert main(["provenance", "table_digits", *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "table.csv' is damaged" in error
    assert not (results / METADATA).exists()


def test_pretrained_weights_stand_among_the_inputs():
    from guidance_study.store.provenance import _Graph, _outside

    graph, digest = _Graph(), "ab" * 32
    assert _outside(graph, {"weights": {"sha256": digest}}) == [{"@id": f"#sha256-{digest}"}]
    assert graph.entities[f"#sha256-{digest}"]["sha256"] == digest
    assert _outside(graph, {"weights": None, "raw": {"train": "unpinned"}}) == []


def test_the_rocrate_package_reads_it(made):
    rocrate = pytest.importorskip("rocrate.rocrate", reason="rocrate is not installed (pip install rocrate)")
    results, options, plan = made
    main(["provenance", "table_digits", *options])
    read = rocrate.ROCrate(str(results))
    ancestors = plan.ancestors(["table_digits"])
    table = read.dereference(f"{plan.targets['table_digits'].address}/")
    assert {part["name"] for part in table["hasPart"]} == {
        "table.csv", "table.md", "table.html", "table.tex", "manifest.json",
    }  # fmt: skip
    actions = [entity for entity in read.root_dataset["mentions"] if entity.type == "CreateAction"]
    assert len(actions) == len(ancestors)
    seen, queue = set(), [table.id]  # from the table to the raw data, by the actions alone
    makers = {action["result"].id: action for action in actions}
    while queue:
        identifier = queue.pop()
        if identifier in makers and identifier not in seen:
            seen.add(identifier)
            objects = makers[identifier]["object"]
            queue += [entity.id for entity in (objects if isinstance(objects, list) else [objects])]
    assert seen == {f"{a.address}/" for a in ancestors}


def test_nothing_heavy_is_imported_for_it():
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}; import guidance_study.store.provenance, guidance_study.store.disk;"
        " print([name for name in ('torch', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
