"""Tables: means, spreads and minima by hand, rows and columns in the paper's order, in four formats."""

import itertools

import numpy as np
import pandas as pd
import pytest
from guidance_study.execution.job import Input, Job
from guidance_study.tables.reporting.images import notes, pivot, summarise
from guidance_study.tables.reporting.render import render

RULE = {"guidance": "classifier_free", "gradient_factor": None, "classifier": None}
NO_ARM = {"arm": None, "neighbour_space": None, "k": None, "train_on": None}
ARM = {"arm": "features_k20", "neighbour_space": "features", "k": 20, "train_on": "pool"}
SETTING = {
    "network": "residual_mlp", "training": {"steps": 3000}, "sampler": {"kind": "ddim", "steps": 20},
    "pool": {"scales": [1.0, 2.0], "n": 600}, "flows": [{"steps": 1200, "solver": {"rtol": 1e-3}}], "spaces": {},
}  # fmt: skip
RECIPES = [{"kind": "frechet", "per_class": False, "version": 1}]


def spec(**changes) -> dict:
    base = {
        "title": "T",
        "arms": None,
        "metrics": ["frechet"],
        "spaces": None,
        "references": ["train", "held_out"],
        "controls": True,
    }
    return base | changes


def measured(seeds=(0,), scales=(2.25, 2.5)) -> pd.DataFrame:
    """value = 100 seed + 10 scale + repeat, less 1000 for every step from before to after to retrieval."""
    states = [("before", NO_ARM), ("after", ARM), ("retrieval", ARM)]
    rows = [
        {"experiment": "e", "state": state, **arm, **RULE, "repeat": b, "metric": "frechet", "reference": reference,
         "space": "evaluator", "label": None,
         "scale": scale, "seed": seed, "value": 100 * seed + 10 * scale + b - 1000 * i}
        for seed, scale, (i, (state, arm)), reference, b in itertools.product(
            seeds, scales, enumerate(states), ["train", "held_out"], range(3))
    ]  # fmt: skip
    shared = {
        "experiment": "e",
        "state": "real",
        "metric": "frechet",
        "reference": "train",
        "value": 7.0,
        "space": "evaluator",
        **NO_ARM,
        **RULE,
    }
    real = [shared | {"seed": seed, "scale": scale} for seed in seeds for scale in scales]
    return pd.DataFrame([*rows, *real])


def params(**changes) -> dict:
    return {"spec": spec(**changes), "settings": {"e": SETTING}}


def test_one_seed_spreads_over_repeats():
    row = summarise(measured(), spec()).query("state == 'before' and scale == 2.5 and reference == 'train'").iloc[0]
    assert row["mean"] == 26.0
    assert row["minimum"] == 25.0
    assert row["spread"] == pytest.approx(np.std([25, 26, 27], ddof=1))
    assert (row["spread_over"], row["seeds"], row["repeats"]) == ("repeats", 1, 3)


def test_several_seeds_spread_over_their_means():
    row = summarise(measured(seeds=(0, 1, 4)), spec()).query("state == 'after' and scale == 2.25").iloc[0]
    assert row["mean"] == pytest.approx(22.5 + 1 + 500 / 3 - 1000)
    assert row["spread"] == pytest.approx(np.std([0, 100, 400], ddof=1))
    assert row["spread_over"] == "seeds"


def test_rows_and_columns_stand_in_the_papers_order():
    table = pivot(summarise(measured(), spec()), params())
    assert [low for top, low in table.columns if not top] == ["Guidance", "NN space", "k", "Post."]
    assert [c for c in table.columns if c[0]] == [
        ("training set", "2.25"), ("training set", "2.5"), ("held-out set", "2.25"), ("held-out set", "2.5"),
    ]  # fmt: skip
    assert table[("", "Post.")].tolist() == ["-", "no", "yes", "retrieval control"]
    assert table[("training set", "2.5")].tolist()[:2] == ["7.00", "26.00 ± 1.00"]
    assert pd.isna(table[("held-out set", "2.5")].tolist()[0])


def test_experiments_of_one_guidance_are_told_apart():
    two = pd.concat([measured(), measured().assign(experiment="f")])
    both = params() | {"settings": {"e": SETTING, "f": SETTING}}
    table = pivot(summarise(two, both["spec"]), both)
    assert table[("", "Experiment")].tolist() == ["-"] + ["e"] * 3 + ["f"] * 3  # real images are of none


def test_scales_that_are_close_have_columns_of_their_own():
    rows = measured(scales=(2.5, 2.5000001))
    assert len([c for c in pivot(summarise(rows, spec()), params()).columns if c[0]]) == 4


def test_controls_references_and_arms_can_be_chosen():
    chosen = params(controls=False, references=["held_out"], arms=[])
    table = pivot(summarise(measured(), chosen["spec"]), chosen)
    assert table[("", "Post.")].tolist() == ["no"]  # held-out images are not compared with themselves
    assert {top for top, _ in table.columns} == {"", "held-out set"}


def test_every_format_carries_title_numbers_and_notes():
    contents = [{"n": 200, "real": {"train": 1438, "held_out": 359}}]
    source = Input(None, {"params": {"metrics": RECIPES}})
    job = Job(params() | {"sources": [{"role": "e"}]}, {"e": source}, None, None)
    below = notes(measured(), contents, job)
    text = render(pivot(summarise(measured(), spec()), params()), "table_t", "T", below)
    assert set(text) == {".md", ".html", ".tex"}
    for suffix, document in text.items():
        assert "26.00" in document, suffix
        assert "3 disjoint repeats of 200 generations" in document, suffix
        assert "1438 training" in document, suffix
        assert "7.00" in document, suffix
        assert "retrieval control" in document, suffix
    assert r"26.00 $\pm$ 1.00" in text[".tex"]
    assert text[".md"].startswith("**T**")


def test_words_that_begin_with_a_digit_are_words():
    from guidance_study.tables.reporting.render import framed, render

    table = framed([{"Question": f"{n}D: does it grow?", "Mean": m} for n, m in ((1, "-0.5"), (2, "1e-05 ± 0.1"))])
    assert "| --- | ---: |" in render(table, "t", "T", [])[".md"]
    cells = ["3", "(2)", "0.5 [0.1, 0.9]", "12 %", "1.5e-3; 2", "1 / 2 / 3", "7"]
    assert "| ---: |" in render(framed([{"Mean": cell} for cell in cells]), "t", "T", [])[".md"]


def test_rows_of_runs_stand_in_the_order_in_which_they_were_asked_for(monkeypatch, tmp_path):
    from guidance_study.tables.reporting import trajectories

    rows = pd.DataFrame([
        {"trajectories": data, "seed": seed, "run": run, "scale": 1.0, "metric": "bend", "label": None, "value": 1.0}
        for data, seed, run in itertools.product(("near", "far"), (0, 1), ("linear", "nonlinear", "exact"))
    ])  # fmt: skip
    run = {"eps": "exact", "guidance": {"kind": "classifier_free"}, "steps": None}
    params = {"runs": [run | {"name": name} for name in ("linear", "nonlinear", "exact")]}
    inputs = {
        f"trajectories/{x}/{seed}": Input(tmp_path, {"params": params}) for x in ("near", "far") for seed in (0, 1)
    }
    sources = [{"trajectories": role.split("/")[1], "seed": int(role[-1])} for role in inputs]
    job = Job({"sources": sources}, inputs, tmp_path, tmp_path, {}, [], {})
    monkeypatch.setattr(trajectories, "collect", lambda job: (rows, None))
    asked = trajectories.measured(job, ["exact", "linear"], ["bend"])
    assert list(dict.fromkeys(zip(asked["data"], asked["run"], strict=True))) == [
        ("near", "exact"), ("near", "linear"), ("far", "exact"), ("far", "linear"),
    ]  # fmt: skip
    assert len(asked) == 8
    assert [line["Data"] for line in trajectories.lines(asked, ["bend"])] == ["near", "near", "far", "far"]
