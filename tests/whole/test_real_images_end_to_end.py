"""The studies of MNIST, Fashion-MNIST and colour images at a laptop's budget, tiny: every table and figure of each."""

from pathlib import Path

import image_files
import pandas as pd
import pytest
from conftest import TOP, command_line, merge, project, read

pytestmark = pytest.mark.slow

FASHION = Path("/usr/share/datasets/fashion-mnist")
SHORT = {"training": {"steps": 2, "batch_size": 4}}
FEW = {"sampler": {"steps": 2}, "pool": {"n": 30}, "evaluation": {"n": 20, "manifold_k": 1}}
LOOSE = {"solver": {"rtol": 0.1, "atol": 0.1, "block": 16}}


def tiny(*overlays: str, dataset: str, entry: dict | None) -> dict:
    """A configuration of a study, its networks, trainings and sets made small; of other data where there is an entry.

    Of one training seed, and of what the overlays' own `all` names.
    """
    config = {}
    for name in ("config.yaml", *(f"config/{overlay}.yaml" for overlay in overlays)):
        config = merge(config, read(TOP / name))
    ours = lambda section: [name for name, of in config[section].items() if of.get("dataset") == dataset]  # noqa: E731
    experiments = [name for name, of in config["experiments"].items() if of["model"] in ours("models")]
    flows = {arm["postprocessor"] for name in experiments for arm in config["experiments"][name]["arms"]}
    networks = {config["models"][name]["network"] for name in ours("models")}
    narrow = lambda of: {"network": {"channels": 4}} if of["network"].get("channels") else {}  # noqa: E731
    config = merge(config, {
        "networks": {name: {"model_channels": 8} for name in networks},
        "models": dict.fromkeys(ours("models"), SHORT),
        "classifiers": {name: SHORT | narrow(config["classifiers"][name]) for name in ours("classifiers")},
        "postprocessors": {name: {**SHORT, **LOOSE} for name in flows},
        "experiments": dict.fromkeys(experiments, FEW),
        "figures": {
            name: {"per_class": 2}
            for name, of in config["figures"].items()
            if of["kind"] == "samples" and set(of["experiments"]) <= set(experiments)
        },
    })  # fmt: skip
    if entry is not None:
        config["datasets"][dataset] = entry | {"judges": 0.25}
    return config | {"seeds": [0]}


def built(tmp_path: Path, config: dict) -> Path:
    folder = project.__wrapped__(tmp_path)(config)
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr[-3000:]
    for name in config["all"]:
        made = [folder / "results" / place for place in (f"tables/{name}.md", f"figures/{name}.png", f"{name}.html")]
        assert any(path.is_file() for path in made), name
    return folder


def test_mnists_laptop_study(tmp_path):
    entry = image_files.mnist_entry(tmp_path / "data", per_class=44, held_out=12)
    at = {"mnist_cg": [2, 2.5], "mnist_cfg": [2, 2.5], "mnist_cg_own": [2], "mnist_cfg_own": [2]}  # fewer scales
    few = {name: {"evaluation": {"scales": scales}} for name, scales in at.items()}
    config = merge(tiny("mnist_laptop", dataset="mnist", entry=entry), {"experiments": few})
    controls = ["table_mnist_controls", "table_questions_mnist", "fig_margin"]  # which the lean study below makes
    folder = built(tmp_path, config | {"all": [name for name in config["all"] if name not in controls]})
    table = pd.read_csv(folder / "results" / "tables" / "table_mnist.csv")
    assert set(table["state"]) == {"real", "before", "after", "retrieval"}
    assert set(table["space"]) == {"evaluator", "mnist_second", "none"}
    assert set(table["reference"]) == {"train", "held_out", "none"}
    assert set(table["arm"].dropna()) == {"pixels_k20", "pixels_k20_to_random"}
    own = pd.read_csv(folder / "results" / "tables" / "table_mnist_own.csv")
    assert set(own["arm"].dropna()) == {"pixels_k20", "pixels_k20_own"}


def test_mnists_lean_study_puts_its_claim_on_the_board(tmp_path):
    import json

    entry = image_files.mnist_entry(tmp_path / "data", per_class=44, held_out=12)
    config = tiny("mnist_laptop", "mnist_seeds", dataset="mnist", entry=entry)
    folder = built(
        tmp_path,
        config | {"seeds": [0, 1], "all": ["table_questions_mnist", "table_mnist_controls", "fig_margin", "claims"]},
    )
    claims = json.loads((folder / "results" / "claims.json").read_text())["claims"]
    (claim,) = [claim for claim in claims if any(part["run"] for part in claim["parts"])]
    assert claim["claim"] == "Fidelity improves on MNIST"
    assert [sorted(part["run"]["numbers"]) for part in claim["parts"]] == [["0", "1"]] * 3


@pytest.mark.skipif(not FASHION.is_dir(), reason="needs Debian's package dataset-fashion-mnist")
def test_fashion_mnist_is_an_entry_of_configuration(tmp_path):
    config = tiny("mnist_laptop", "mnist_seeds", "fashion", dataset="mnist", entry=None)
    config["datasets"]["mnist"]["judges"] = 0.9  # of the real files, few images for the models
    folder = built(tmp_path, config | {"all": ["table_margin"]})
    assert (folder / "results" / "tables" / "table_margin.md").read_text().startswith("**Fashion-MNIST")


def test_fashion_mnist_in_the_place_of_mnist_is_refused_before_any_job(tmp_path):
    ours = image_files.mnist_entry(tmp_path / "digits", per_class=44, held_out=12)
    other = image_files.mnist_entry(tmp_path / "fashion", per_class=45, held_out=12)
    config = tiny("mnist_laptop", dataset="mnist", entry=ours | {"root": other["root"]})
    done = command_line(project.__wrapped__(tmp_path)(config), "run")
    assert done.returncode != 0
    assert "train-images-idx3-ubyte" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_study_of_a_folder_of_colour_images(tmp_path):
    entry = image_files.image_folder_entry(tmp_path / "data", classes=10, per_class=60, size=32)
    folder = built(tmp_path, tiny("cifar_jpeg", dataset="colour", entry=entry))
    assert "Colour" in (folder / "results" / "tables" / "table_colour.md").read_text()
