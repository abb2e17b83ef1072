"""Controls of postprocessing through the whole chain: each differs from the arm that it controls as it says."""

import json

import numpy as np
import pytest
from conftest import command_line, merge
from guidance_study.config.loading import parse
from guidance_study.plan.plan import Plan

pytestmark = pytest.mark.slow

ARM = {"space": "features", "k": 3, "postprocessor": "digits"}
CONTROLS = [
    {},
    {"targets": "random"},
    {"targets": "balanced"},
    {"targets": "near_boundary"},
    {"targets": "far_boundary"},
    {"half": "low"},
    {"half": "high"},
    {"half": "random"},
    {"moves": {"by": "margin", "share": 0.25}},
    {"moves": {"by": "random", "share": 0.25}},
    {"moves": {"by": "distance", "share": 0.25}},
]
SELECTOR = {
    "dataset": "digits", "part": "judge", "network": {"kind": "mlp", "width": 8, "layers": 1},
    "training": {"steps": 30, "batch_size": 32, "lr": 0.002},
}  # fmt: skip


def measures(folder, prefix: str) -> tuple[dict, list[dict]]:
    """Recipe and rows of the only measures whose label begins so."""
    (path,) = (folder / "results" / "measures").glob(f"{prefix}*/measures.json")
    recipe = json.loads((path.parent / "manifest.json").read_text())["recipe"]
    return recipe, json.loads(path.read_text())["rows"]


def margins_of(experiment: str, scale: float, arm: str) -> dict:
    return {"kind": "margin", "title": "Margins", "experiment": experiment, "scale": scale, "arm": arm}


def drawn(folder, name: str) -> bool:
    """Whether a figure is there with more than one colour in it."""
    from matplotlib.image import imread

    return len(np.unique(imread(folder / "results" / "figures" / f"{name}.png")[..., :3].reshape(-1, 3), axis=0)) > 9


def test_controls_of_images(project, tiny):
    changes = {
        "classifiers": {"digits_selector": SELECTOR, "digits_second": {"training": {"steps": 30}}},
        "experiments": {
            "digits_cfg": {
                "arms": [{**ARM, **control} for control in CONTROLS],
                "judges": ["digits_second"],
                "selector": "digits_selector",
                "evaluation": {"real": True},
            }
        },
        "tables": {"table_digits_nn": {"arms": None, "metrics": ["frechet", "accuracy"]}},
        "all": ["table_digits_nn"],
    }
    config = merge(tiny, changes)
    asked = {"question": "Does the flow raise the margin?", "of": "digits_cfg", "metric": "margin_gain",
             "left": {"arm": "features_k3"}, "expects": "above"}  # fmt: skip
    config["tables"] = {
        "table_digits_nn": config["tables"]["table_digits_nn"],
        "table_asked": {"kind": "contrasts", "title": "Asked", "contrasts": [asked]},
    }
    config["figures"] = {"fig_margin": margins_of("digits_cfg", 2.5, "features_k3")}
    folder = project(config, "controls")
    done = command_line(folder, "run", "table_digits_nn", "table_asked", "fig_margin")
    assert done.returncode == 0, done.stderr
    assert drawn(folder, "fig_margin")
    assert "one seed: not decided" in (folder / "results" / "tables" / "table_asked.md").read_text()
    recipe, rows = measures(folder, "cfg-")
    names = [arm["name"] for arm in recipe["params"]["arms"]]
    assert len(set(names)) == len(CONTROLS)
    frechet = {
        (row["state"], row["arm"], row["space"]): row["value"]
        for row in rows
        if row["metric"] == "frechet" and row["reference"] == "train" and row["repeat"] == 0
    }
    assert {space for _, _, space in frechet} == {"evaluator", "digits_second"}
    after = {arm: value for (state, arm, space), value in frechet.items() if (state, space) == ("after", "evaluator")}
    assert set(after) == set(names)
    assert len(set(after.values())) == len(names)  # each is another set
    assert {arm for state, arm, _ in frechet if state == "retrieval"} == {"features_k3"}
    table = (folder / "results" / "tables" / "table_digits_nn.csv").read_text()
    assert "features_k3" in table
    assert "to_random" not in table  # controls stand in tables that name them
    moved_alone(folder, config, names)


def moved_alone(folder, config: dict, names: list[str]) -> None:
    """Flows of controls learn from what they say; arms that move a share use the flow of their arm."""
    plan = Plan(parse(config))
    arms = dict(zip(names, plan.study.experiments["digits_cfg"].arms, strict=True))
    moved = {name: plan.postprocessed("digits_cfg", arm, (2.5,), 0) for name, arm in arms.items()}
    assert len({artefact.address for artefact in moved.values()}) == 8
    assert moved["features_k3"].address == moved["features_k3_moves_margin_25"].address
    flows = {name: artefact.inputs["postprocessor/0"] for name, artefact in moved.items()}
    indices = {
        name: np.load(folder / "results" / flow.inputs["neighbours"].address / "index.npy")
        for name, flow in flows.items()
    }
    dataset = folder / "results" / flows["features_k3"].inputs["dataset"].address
    labels = np.load(dataset / "train_labels.npy")
    pool = folder / "results" / flows["features_k3"].inputs["samples"].address
    own = np.load(pool / "labels.npy")
    for index in indices.values():
        assert index.shape == (90, 3)
        assert (labels[index] == own[:, None]).all()
    near, far = indices["features_k3_to_near_boundary"], indices["features_k3_to_far_boundary"]
    assert not (np.sort(near, 1) == np.sort(far, 1)).all(1).any()


def test_controls_of_points(project, tiny_points):
    arm = {"space": "points", "k": 5, "postprocessor": "fractal"}
    arms = [{**arm, **control} for control in CONTROLS] + [{**arm, "train_on": "own_scale"}]
    changes = {"experiments": {"fractal_c_cfg": {"arms": arms, "evaluation": {"real": True}}}}
    config = merge(tiny_points, changes)
    table = {"kind": "points", "title": "Controls", "experiments": ["fractal_c_cfg"]}
    config |= {
        "tables": {"table_controls": {**table, "metrics": ["boundary", "neighbour_mean"]}},
        "figures": {"fig_margin": margins_of("fractal_c_cfg", 2, "points_k5")},
        "all": ["table_controls"],
    }
    folder = project(config, "points")
    done = command_line(folder, "run", "table_controls", "fig_margin")
    assert done.returncode == 0, done.stderr
    assert drawn(folder, "fig_margin")
    recipe, rows = measures(folder, "cfg-")
    names = {arm["name"] for arm in recipe["params"]["arms"]}
    boundary = {
        (row["state"], row["arm"], row["scale"]): row["value"]
        for row in rows
        if row["metric"] == "boundary" and row["label"] is None
    }
    scales = {scale for state, _, scale in boundary if state == "before"}
    assert {(arm, scale) for state, arm, scale in boundary if state == "after"} == {
        (name, scale) for name in names for scale in scales
    }
    through = {arm for state, arm, _ in boundary if state == "real_after"}
    assert through == {name for name in names if "moves" not in name}
