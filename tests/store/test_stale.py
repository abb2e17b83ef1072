"""Stale artefacts: made from other bytes than their inputs hold now. They are named, set aside, and made anew."""

import json

import pytest
from filled_store import RUN, fill
from guidance_study.plan.recipes import Artefact
from guidance_study.store.artefacts import STALE, Store, content
from guidance_study.store.stale import problems, set_aside, stale

DATA = Artefact("dataset", "digits", {"kind": "digits"})
MODEL = Artefact("denoiser", "mlp", {"seed": 0}, {"dataset": DATA})
SAMPLES = Artefact("samples", "cfg", {"seed": 0}, {"denoiser": MODEL})
OTHER = Artefact("neighbours", "pixels", {"k": 1}, {"dataset": DATA})
NEAR = Artefact("neighbours", "both", {"k": 2}, {"dataset": DATA, "samples": SAMPLES})
ALL = [DATA, MODEL, SAMPLES, OTHER, NEAR]
ADDRESSES = [a.address for a in ALL]


@pytest.fixture
def store(tmp_path) -> Store:
    return fill(tmp_path, ALL)


def remade(store: Store, artefact: Artefact, text: str) -> None:
    """Make an artefact again, from what is there now, at another time."""
    read = {a.address: content(store.manifest(a.address)) for a in artefact.inputs.values()}
    described = {
        "recipe": artefact.recipe,
        "key": artefact.key,
        "inputs": read,
        "facts": {},
        "run": RUN | {"seconds": 1},
    }
    with store.write(artefact.address, lambda: described) as out:
        for name in artefact.spec.files:
            (out / name).write_text(f"{text} {name}")


def test_nothing_is_stale_in_a_store_that_was_made_once(store):
    assert stale(store, ADDRESSES) == {}
    assert set_aside(store, ADDRESSES) == 0
    assert not (store.root / STALE).exists()


def test_an_input_with_other_bytes_makes_everything_below_it_stale(store):
    remade(store, MODEL, "other")
    found = stale(store, ADDRESSES)
    assert list(found) == [SAMPLES.address, NEAR.address]
    assert found[SAMPLES.address] == f"it was made from other bytes of '{MODEL.address}' than there are now"
    assert found[NEAR.address] == f"it was made from '{SAMPLES.address}', which is stale"
    assert [line.split("'")[1] for line in problems(store, ADDRESSES)] == list(found)


def test_an_input_made_again_with_the_same_bytes_makes_nothing_stale(store):
    remade(store, MODEL, MODEL.address)
    assert stale(store, ADDRESSES) == {}


def test_the_order_in_which_addresses_are_asked_for_does_not_matter(store):
    remade(store, DATA, "other")
    assert set(stale(store, ADDRESSES[::-1])) == set(ADDRESSES) - {DATA.address}


def test_inputs_that_are_gone_or_damaged_are_no_reason(store):
    (store.root / MODEL.address / "manifest.json").unlink()
    assert stale(store, ADDRESSES) == {}
    (store.root / MODEL.address / "manifest.json").write_text("{")
    assert stale(store, ADDRESSES) == {}


def test_a_manifest_that_does_not_say_what_was_read_is_not_trusted(store):
    with store.write(MODEL.address, lambda: {"recipe": MODEL.recipe, "facts": {}, "run": RUN}) as out:
        for name in MODEL.spec.files:
            (out / name).write_text(f"{MODEL.address} {name}")
    assert stale(store, ADDRESSES)[MODEL.address] == "its manifest does not say which bytes it was made from"


def test_what_is_set_aside_is_whole_and_out_of_the_way(store):
    for n in range(2):
        remade(store, MODEL, f"other {n}")
        before = {a: store.manifest(a) for a in ADDRESSES}
        assert set_aside(store, ADDRESSES) == 2
        for artefact in (SAMPLES, NEAR):
            assert not store.has(artefact)
            place = store.root / STALE / f"{artefact.address}@{n}"
            assert json.loads((place / "manifest.json").read_text()) == before[artefact.address]
            assert all((place / name).is_file() for name in artefact.spec.files)
            remade(store, artefact, "anew")
        assert stale(store, ADDRESSES) == {}
    assert all(address in ADDRESSES for address in store.addresses())


def test_checkpoints_that_a_killed_job_left_of_a_finished_artefact_go_with_the_next_run(store):
    """It is killed after its manifest is there; those of an unfinished artefact are what its next job goes on from."""
    (finished, *_) = store.addresses()
    other = f"{finished.split('/')[0]}/unfinished-0"
    for address in (finished, other):
        folder = store.root / ".checkpoints" / address
        folder.mkdir(parents=True)
        (folder / "00000029.pt").write_text("a checkpoint")
    assert set_aside(store, [finished, other]) == 0
    assert not (store.root / ".checkpoints" / finished).exists()
    assert (store.root / ".checkpoints" / other / "00000029.pt").is_file()
    assert store.damages(finished) == []
