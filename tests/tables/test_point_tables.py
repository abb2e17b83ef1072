"""Tables of points: rows in order; and every synthetic result, tiny, end to end."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import SYNTHETIC, TOP, command_line, merge, read
from guidance_study.tables.reporting.points import flow_text, lines, ratio_lines, summarise

ARMS = {
    "points_k20_own": {"space": "points", "k": 20, "train_on": "own_scale"},
    "points_k20": {"space": "points", "k": 20, "train_on": "pool"},
}
SETTINGS = {"e": {"data": "fractal_c"}}
RULE = {"guidance": "classifier_free", "gradient_factor": None, "classifier": None}


def rows(after: float = 0.5, boundaries=(0.7, 1.0)) -> pd.DataFrame:
    """Two scales; NN distances 1 before and `after` after, coverage 0.5 and 0.6."""
    found = []
    for scale, boundary in zip((1.0, 2.0), boundaries, strict=True):
        states = [("before", None), ("redraw", None), *((s, a) for a in ARMS for s in ("after", "retrieval"))]
        for state, arm in states:
            near = after if state == "after" else 1.0
            values = {
                "neighbour_mean": near,
                "neighbour_99": 3 * near,
                "boundary": boundary - 0.01 * (state == "after"),
            }
            values |= {"coverage": 0.6 if state == "after" else 0.5, "ratio_1": 4.0, "ratio_10": 3.0, "ratio_all": 2.0}
            values["right_class"] = 0.9
            for label in (None, 0, 1):
                shared = {"experiment": "e", "seed": 0, "scale": scale, "state": state, "arm": arm, "label": label}
                own = ARMS.get(arm, dict.fromkeys(("space", "k", "train_on")))
                shared |= RULE | {"neighbour_space": own["space"], "k": own["k"], "train_on": own["train_on"]}
                found += [shared | {"metric": m, "value": v} for m, v in values.items()]
    real = {"experiment": "e", "seed": 0, "scale": None, "state": "real", "arm": None, "label": None} | RULE
    return pd.DataFrame([*found, real | {"metric": "neighbour_mean", "value": 0.01}])


def test_rows_are_real_before_after_each_arm_and_one_control():
    summary = summarise(rows()[lambda r: r["label"].isna()])
    made = lines(summary, ["neighbour_mean", "coverage"], SETTINGS)
    states = ["no", "one flow a scale", "one flow for all", "retrieval control"]
    assert [line["Post."] for line in made] == ["-", *states, *states]
    assert [line["Scale"] for line in made] == ["-", *["1"] * 4, *["2"] * 4]
    assert made[0]["NN distance, mean"] == "0.0100"
    assert made[0]["coverage"] == ""
    assert [line["NN distance, mean"] for line in made[1:4]] == ["1.0000", "0.5000", "0.5000"]


def test_tab_1_stands_beside_the_papers_triples():
    paper = yaml.safe_load((TOP / "workflow" / "paper_values.yaml").read_text())["table_1"]
    made = ratio_lines(summarise(rows()), [1.0, 2.0], "points_k20_own", paper)
    assert [(line["Class"], line["Scale"]) for line in made] == [("0", "1"), ("0", "2"), ("1", "1"), ("1", "2")]
    head = "ratio, worst 1 % / 10 % / all"
    assert made[0][head, "paper"] == "5.95 / 3.11 / 1.57"
    assert made[3][head, "paper"] == "6.09 / 1.88 / 1"
    assert made[0][head, "here"] == made[0][head, "another generation"] == "4.00 / 3.00 / 2.00"
    assert (made[0]["NN distance, mean", "before"], made[0]["NN distance, mean", "after"]) == ("1.0000", "0.5000")


def test_a_flow_is_called_by_its_neighbours_only_where_they_differ():
    assert flow_text(ARMS["points_k20"], several=False) == "one flow for all"
    assert flow_text(ARMS["points_k20"], several=True) == "one flow for all, points k = 20"


def claims_follow_from_measured_numbers(results):
    """Every seed's number of every claim is left less right, or the logarithm of their ratio, out of metrics.csv."""
    metrics, board = pd.read_csv(results / "tables" / "metrics.csv"), json.loads((results / "claims.json").read_text())

    def side(asked: dict, of: dict, seed: int) -> float:
        same = (metrics["of"] == (of["of"] or asked["of"])) & (metrics["metric"] == (of["metric"] or asked["metric"]))
        same &= metrics["scale"].isin(of["scales"]) & metrics["label"].isna() & (metrics["seed"] == seed)
        state = of["state"] or ("after" if of["arm"] else None if asked["of"].startswith("gauss") else "before")
        for key, value in {"run": of["run"], "arm": of["arm"], "state": state}.items():
            same &= metrics[key] == value if value else metrics[key].isna()
        same &= metrics["reference_run"].isin([asked["reference_run"]]) | metrics["reference_run"].isna()
        return metrics[same]["value"].mean()

    found = [(part, seed, n) for c in board["claims"] for part in c["parts"] if part["run"]
             for seed, n in part["run"]["numbers"].items()]  # fmt: skip
    for part, seed, number in found:
        asked = json.loads(part["statistic"])
        left, right = (side(asked, asked[of], int(seed)) if asked[of] else 0.0 for of in ("left", "right"))
        expected = left - right if asked["value"] == "difference" else np.log(left / right)
        assert number == pytest.approx(expected, rel=1e-3, abs=1e-4 * abs(left)), part["question"]
    assert len(found) > 30


@pytest.mark.slow
def test_every_synthetic_result_tiny_end_to_end(tiny_points, project):
    """In one process: each table and figure of the study, over two seeds."""
    folder = project(tiny_points | {"seeds": [0, 1], "all": [*SYNTHETIC, "metrics", "claims"]})
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr
    claims_follow_from_measured_numbers(folder / "results")
    for name in SYNTHETIC:
        kind, suffix = ("figures", ".pdf") if name.startswith("fig") else ("tables", ".md")
        assert (folder / "results" / kind / f"{name}{suffix}").stat().st_size > 200, name
    table = (folder / "results" / "tables" / "table_2d.md").read_text()
    assert "±" in table
    assert "positive on the side of the class" in table
    measures = next((folder / "results" / "measures").glob("cfg-1-2*/measures.json"))
    states = {row["state"] for row in json.loads(measures.read_text())["rows"]}
    assert states == {"real", "before", "after", "retrieval", "redraw", "targets"}


def test_the_papers_budgets_are_the_papers():
    from guidance_study.config.loading import parse

    study = parse(merge(read(TOP / "config.yaml"), read(TOP / "config" / "paper.yaml")))
    synthetic = [model for model in study.models.values() if model.dataset.startswith(("gauss", "fractal"))]
    assert {(m.training.steps, m.training.batch_size) for m in synthetic} == {(100_000, 4096)}
    line = [c for c in study.classifiers.values() if c.dataset.startswith("gauss")]
    plane = [c for c in study.classifiers.values() if c.dataset.startswith("fractal")]
    assert {(c.training.steps, c.training.batch_size) for c in line} == {(50_000, 4096)}
    assert {(c.training.steps, c.training.batch_size) for c in plane} == {(30_000, 4096)}
    flow = study.postprocessors["fractal"]
    assert (flow.training.steps, flow.training.batch_size, flow.solver.rtol) == (100_000, 4096, 1e-5)


def test_a_base_with_weights_from_outside_is_said_to_be_one(parsed):
    from guidance_study.tables.points import described
    from guidance_study.tables.reporting.points import setting_text

    weights = {"training": None, "weights": {"path": "fractal.safetensors"}}
    study = parsed({"models": {"fractal_c": weights}})
    assert setting_text(described("fractal_c_cfg", study), None).startswith(
        "base with weights from outside; dpm_solver"
    )


def test_parts_with_weights_from_outside_are_said_to_be_so(tmp_path):
    from guidance_study.execution.job import Job
    from guidance_study.tables.reporting.trajectories import learned

    parts = {"gauss": {"conditional": None, "linear": {"steps": 7, "batch_size": 3}}}
    job = Job({"parts": parts}, {}, tmp_path, tmp_path)
    assert learned(job)[1] == "Learned parts: conditional, weights from outside; linear, 7 steps of batch 3."
