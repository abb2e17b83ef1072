"""A metric is one new file and one line of configuration; it is measured alone, and the others stay as they were."""

import json
import subprocess
import sys

import pytest
import yaml
from conftest import TINY, TINY_POINTS, TOP, command_line, merge, parse, project, read
from guidance_study.config.loading import ConfigError
from guidance_study.metrics import meanings, metrics_of
from guidance_study.plan.plan import Plan

FILES = {
    "mean_gap": '''
"""How far the mean of images' features is from that of real images."""

from typing import Literal

from guidance_study.metrics import Column, ImageMetric


class MeanGap(ImageMetric):
    """The distance of two means."""

    kind: Literal["mean_gap"]
    columns = (Column("mean_gap", "gap of means", digits=1),)
    meaning = "Gap of means: Euclidean."

    def compare(self, features, seen, part):
        import numpy as np

        return np.linalg.norm(features.mean(0) - seen.real[part].mean(0))
''',
    "log_odds": '''
"""How sure the closed form is of a point's class."""

from typing import Literal

from guidance_study.metrics import Column, PointMetric


class LogOdds(PointMetric):
    """The absolute log ratio of the classes' probabilities."""

    kind: Literal["log_odds"]
    columns = (Column("log_odds", "log odds", digits=1),)
    meaning = "Log odds: absolute, on clean data."

    def each(self, one, real):
        import torch

        return real.oracle.log_ratio(torch.from_numpy(one.x).double()).abs().numpy()
''',
    "travel": '''
"""How far trajectories travel."""

from typing import Literal

from guidance_study.metrics import Column, TrajectoryMetric


class Travel(TrajectoryMetric):
    """The mean length of a trajectory."""

    kind: Literal["travel"]
    columns = (Column("travel", "length"),)
    meaning = "Length: the mean."

    def of_trajectories(self, one):
        import numpy as np

        return np.linalg.norm(np.diff(one.trajectories, axis=0), axis=2).sum(0).mean()
''',
}  # fmt: skip
TABLES = {
    "table_images": {"kind": "images", "title": "I", "experiments": ["digits_cfg"],
                     "metrics": ["frechet", "near_copies"]},
    "table_points": {"kind": "points", "title": "P", "experiments": ["fractal_c_cg"], "metrics": ["neighbour_mean"]},
    "table_paths": {"kind": "trajectories", "title": "T", "trajectories": ["gauss_far"], "metrics": ["boundary"]},
}  # fmt: skip
NEW = dict(zip(TABLES, FILES, strict=True))


def configured(**added: str) -> dict:
    """A tiny study with one table a subject; `added`: a metric more in a table."""
    config = merge(merge(read(TOP / "config.yaml"), TINY), TINY_POINTS)
    experiments = {name: config["experiments"][name] for name in ("digits_cfg", "fractal_c_cg")}
    experiments["digits_cfg"]["arms"] = [{"space": "pixels", "k": 5, "postprocessor": "digits"}]
    tables = {name: table | {"metrics": [*table["metrics"]]} for name, table in TABLES.items()}
    for name, metric in added.items():
        tables[name]["metrics"].append(metric)
    trajectories = {"gauss_far": config["trajectories"]["gauss_far"]}
    return config | {
        "experiments": experiments,
        "tables": tables,
        "trajectories": trajectories,
        "figures": {},
        "all": list(TABLES),
    }


def run(folder, config: dict, command: str = "run"):
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = command_line(folder, command)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def measured(done) -> set[str]:
    """The metrics whose functions a run called, from its lines."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("measuring ")]
    return {name for line in lines for name in line.removeprefix("measuring ").split(" of ")[0].split(", ")}


def contents(folder) -> dict[str, bytes]:
    """The files of all measures by address."""
    return {p.parent.name: p.read_bytes() for p in (folder / "results" / "measures").glob("*/measures.json")}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A copy of the project in which the study without the new metrics is finished."""
    folder = project.__wrapped__(tmp_path_factory.mktemp("metrics"))(configured())
    first = run(folder, configured())
    kinds = {"frechet", "near_copies", "neighbour_distance", "boundary"}
    assert measured(first) == kinds
    return folder


@pytest.mark.slow
def test_a_metric_is_one_file_and_one_line_and_is_measured_alone(built):
    before = contents(built)
    for name, text in FILES.items():
        (built / "workflow" / "guidance_study" / "metrics" / f"{name}.py").write_text(text.lstrip())
    config = configured(**NEW)
    lines = run(built, config, "plan").stdout.splitlines()
    stages = [line.split()[2].split("/")[0] for line in lines if line.startswith("to make  ")]
    assert sorted(stages) == ["measures"] * 3 + ["table"] * 3
    assert measured(run(built, config)) == set(FILES)
    shown = {name: (built / "results" / "tables" / f"{name}.md").read_text() for name in TABLES}
    for table, head, sentence in (
        ("table_images", "gap of means", "Gap of means: Euclidean."),
        ("table_points", "log odds", "Log odds: absolute, on clean data."),
        ("table_paths", "length", "Length: the mean."),
    ):
        assert head in shown[table].splitlines()[2]
        assert f"- {sentence}" in shown[table]
    after = contents(built)
    assert {address: after[address] for address in before} == before
    new = {address: after[address] for address in after if address not in before}
    for address in new:  # from scratch the very same bytes
        for file in (built / "results" / "measures" / address).iterdir():
            file.unlink()
    for address in before:
        (built / "results" / "measures" / address / "manifest.json").unlink()
    again = run(built, config)
    assert measured(again) > set(FILES)
    assert {address: contents(built)[address] for address in new} == new


@pytest.mark.slow
def test_a_changed_parameter_measures_its_metric_alone(built):
    config = configured()
    config["experiments"]["digits_cfg"]["evaluation"]["copy_quantile"] = 0.2
    run(built, configured())
    assert measured(run(built, config)) == {"near_copies"}


@pytest.mark.slow
def test_a_table_that_asks_for_more_leaves_the_other_metrics_alone(built):
    run(built, configured())
    config = configured()
    config["tables"]["table_more"] = {**TABLES["table_images"], "metrics": ["accuracy"]}
    config["all"].append("table_more")
    assert measured(run(built, config)) == {"accuracy"}
    assert "accuracy" in (built / "results" / "tables" / "table_more.md").read_text()


@pytest.mark.slow
def test_values_of_damaged_measures_are_not_taken(built):
    run(built, configured())
    for path in (built / "results" / "measures").glob("cfg-*/measures.json"):
        path.write_text(path.read_text().replace("frechet", "kid"))
    config = configured(table_images="density")  # a list that no other test measures
    assert measured(run(built, config)) == {"frechet", "manifold", "near_copies"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("def compare(", "def compares(", "metrics/mean_gap.py: class MeanGap lacks compare()"),
        ("    columns = ", "    column = ", "metrics/mean_gap.py: class MeanGap lacks columns"),
        ('Column("mean_gap"', 'Column("recall"', "both have a column 'recall' of images; rename one of them"),
    ],
)
def test_what_a_new_metric_lacks_is_one_sentence(tmp_path, old, new, said):
    folder = project.__wrapped__(tmp_path)(configured())
    text = FILES["mean_gap"].replace(old, new)
    if "columns" in said:
        text = text.replace("    column = ", "    column: ClassVar = ").replace(
            "import Literal", "import ClassVar, Literal"
        )
    (folder / "workflow" / "guidance_study" / "metrics" / "mean_gap.py").write_text(text)
    assert said in command_line(folder, "plan").stderr.splitlines()[-1]


def test_an_unknown_metric_is_named_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"table_paths.metrics\[1\]' has the value 'recall': .*'bend', 'boundary'"):
        parse(configured(table_paths="recall"))


def test_metrics_are_found_without_anything_heavy():
    code = (
        "import sys; sys.path.insert(0, 'workflow')\n"
        "from guidance_study.config import seams; seams.kinds('metrics'); seams.kinds('tables')\n"
        "print([m for m in ('torch', 'numpy', 'faiss', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("subject", ["images", "points", "trajectories"])
def test_every_metric_says_what_it_means(subject):
    recipes = [m.recipe({"seed": 0, "reference": "exact"}) for m in set(metrics_of(subject).values())]
    for sentence in meanings(subject, list(metrics_of(subject)), recipes):
        assert sentence.endswith(".")
        assert "{" not in sentence


def test_a_set_is_asked_for_the_metrics_that_tables_show_and_no_others():
    config = configured()
    config["experiments"]["digits_cfg"]["evaluation"]["scales"] = [2.5, 3.0]
    config["tables"]["table_more"] = {**TABLES["table_images"], "metrics": ["recall"], "scales": [3.0]}
    artefacts = [a for a in Plan(parse(config)).artefacts.values() if a.params.get("of") == "images"]
    asked = {tuple(a.inputs["samples"].params["scales"]): [m["kind"] for m in a.params["metrics"]] for a in artefacts}
    assert asked == {(2.5,): ["frechet", "near_copies"], (3.0,): ["frechet", "manifold", "near_copies"]}


@pytest.mark.slow
def test_rows_carry_the_scale_and_recipes_the_settings(built):
    for path in (built / "results" / "measures").glob("*/measures.json"):
        recipe = json.loads((path.parent / "manifest.json").read_text())["recipe"]["params"]
        states = {row["state"]: row["scale"] for row in json.loads(path.read_text())["rows"]}
        assert all(scale is not None for state, scale in states.items() if state != "real")
        if recipe["of"] == "points":
            said = {"kind": "classifier", "base": "unconditional", "gradient_factor": 0.01, "classifier": "linear"}
            assert recipe["guidance"] == said
            assert {(arm["space"], arm["k"], arm["train_on"]) for arm in recipe["arms"]} >= {
                ("points", 20, "own_scale")
            }
