"""The study of guidance rules, tiny: a rule with a second model is made, shared, explained and drawn like any other."""

import re

import pandas as pd
import pytest
from conftest import TOP, command_line, merge, read

pytestmark = pytest.mark.slow

SHORT = {"training": {"steps": 20, "batch_size": 32}}
FEW = {"sampler": {"steps": 4}, "pool": {"n": 60}, "evaluation": {"n": 40, "manifold_k": 1}}
KEPT = [
    "plane_free",
    "plane_auto",
    "plane_projected",
    "digits_free",
    "digits_auto",
    "digits_independent",
    "digits_plus",
]


def few(entries: list[dict]) -> list[dict]:
    return [entry for entry in entries if entry["of"] in KEPT]


def test_the_study_of_guidance_rules(project, tiny, snakemake):
    overlay = read(TOP / "config" / "guidance.yaml")
    narrow = {"mlp_narrow": {"width": 8, "blocks": 1}, "mlp_plane_narrow": {"width": 8, "blocks": 1, "fourier": 8}}
    experiments = {name: merge(overlay["experiments"][name], FEW) for name in KEPT}
    plane, digits = ([name for name in KEPT if name.startswith(start)] for start in ("plane", "digits"))
    tables, figures = overlay["tables"], overlay["figures"]
    tables["table_guidance"]["experiments"] = plane
    tables["table_guidance_digits"]["experiments"] = [name for name in digits if name != "digits_plus"]
    tables["table_guidance_questions"]["contrasts"] = few(tables["table_guidance_questions"]["contrasts"])
    figures["fig_guidance"]["panels"][0] |= {"arm": "points_k20"}
    for panel in figures["fig_guidance"]["panels"]:
        panel["rules"] = few(panel["rules"])
    for panel in figures["fig_boundary_rules"]["panels"]:
        panel["lines"] = few(panel["lines"])
    small = {
        "networks": narrow,
        "models": dict.fromkeys(("fractal_c_worse", "digits_worse"), SHORT),
        "experiments": experiments,
        "trajectories": {name: {"n": 40, "sampler": {"steps": 4}} for name in overlay["trajectories"]},
        "execution": {"shards": 2, "shard_rows": 10, "inference_batch": 8},
    }
    config = merge(merge(tiny, overlay | {"experiments": {}}), small)
    folder = project(config)
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr[-3000:]
    table = pd.read_csv(folder / "results" / "tables" / "table_guidance.csv")
    assert set(table["experiment"].dropna()) == set(plane)
    questions = pd.read_csv(folder / "results" / "tables" / "table_guidance_questions.csv")
    assert len(questions) == len(tables["table_guidance_questions"]["contrasts"])
    for name in ("fig_guidance", "fig_boundary_rules"):
        assert (folder / "results" / "figures" / f"{name}.png").stat().st_size > 10_000
    explained = command_line(folder, "explain", "table_guidance_digits").stdout
    made = [block for block in re.split(r"\n(?=\S)", explained) if block.startswith("samples/auto-")]
    assert made
    assert all(block.count("from     denoiser/") == 2 for block in made)
    snakemake(folder, "--report", "report.html")
    report = (folder / "report.html").read_text()
    assert "holds the board of claims" in report  # the landing page
    for name in overlay["all"]:  # rows by name, not by the name that every file of a kind has
        assert re.search(rf'"labels": {{"name": "{name}", "shows": "[^"]+"}}', report)


def test_mistakes_in_a_front_are_sentences(parsed):
    from guidance_study.config.loading import ConfigError

    panel = {"title": "t", "x": "coverage", "y": "neighbour_mean", "rules": [{"of": "fractal_c_cfg", "label": "free"}]}
    for changes, said in (
        ({"x": "recall"}, "panels.0..x.*recall.*allowed are"),
        ({"arm": "pixels_k1"}, "panels.0..arm.*pixels_k1.*allowed are points_k20_own"),
        ({"rules": [{"of": "nobody", "label": "x"}]}, "rules.0..of.*nobody.*allowed are"),
        ({"rules": panel["rules"] * 2}, "fractal_c_cfg.*twice"),
    ):
        with pytest.raises(ConfigError, match=said):
            parsed({"figures": {"fig": {"kind": "front", "title": "t", "panels": [panel | changes]}}})
