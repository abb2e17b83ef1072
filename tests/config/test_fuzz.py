"""Configurations at random: each is refused in one sentence, or planned; and what is planned runs to its end."""

import os
import subprocess
import sys

import fuzz
import pytest
import yaml
from conftest import TINY, TINY_POINTS, TOP, environment
from guidance_study.config.loading import merge, parse, read
from guidance_study.plan import resources
from guidance_study.plan.plan import Plan
from guidance_study.support.errors import StudyError
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.fuzz

ODD = [
    None, True, False, -1, 0, 1, 2, 3, 7, 1000, 10**6, 10**9, 10**12, 10**30, -0.0, 0.5, 1.5, -2.5, 1e-13, 1e-3, 1e6,
    1e13, 1e-320, 1e308, float("inf"), float("nan"), "", "x", "none", "exact", "evaluator", "real", "all", "a\nb", "\0",
    "ü", "$x$", "../x", "x" * 3000, [], {}, [1, 1], [0.0], ["x"], {"kind": "x"}, {"kind": None}, {1: 2},
]  # fmt: skip


CHANGES = ["odd", "scale", "scale", "scale", "swap", "delete", "rename", "double"]


def paths(tree, here=()):
    """The ways to every value of a configuration."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        yield (*here, key)
        yield from paths(value, (*here, key))


def at(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def unshared(tree):
    """A copy whose parts are each its own: YAML's anchors share them."""
    if isinstance(tree, dict):
        return {key: unshared(value) for key, value in tree.items()}
    return [unshared(value) for value in tree] if isinstance(tree, list) else tree


def mutated(draw, config: dict) -> dict:
    """A configuration with one or two changes: values replaced, scaled, swapped; keys gone, renamed, doubled."""
    config = unshared(config)
    for _ in range(draw(st.integers(1, 2), label="changes")):
        path = draw(st.sampled_from(list(paths(config))), label="path")
        holder, key = at(config, path[:-1]), path[-1]
        kind = draw(
            st.sampled_from(["odd", "scale", "scale", "scale", "swap", "delete", "rename", "double"]), label="change"
        )
        value = holder[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if kind == "odd" or (kind == "scale" and not number):
            holder[key] = draw(st.sampled_from(ODD), label="value")
        elif kind == "scale":
            factor = draw(st.sampled_from([-1, 0, 0.1, 0.5, 2, 10, 1000]), label="factor")
            holder[key] = type(value)(value * factor)
        elif kind == "swap":
            other = draw(st.sampled_from(list(paths(config))), label="other")
            holder[key] = unshared(at(config, other))
        elif kind == "delete":
            del holder[key]
        elif isinstance(holder, list):
            holder.append(unshared(value))
        elif kind == "double":
            holder[f"{key}_again"] = unshared(value)
        else:
            holder[f"{key}x"] = holder.pop(key)
    return config


@pytest.fixture(scope="module")
def bases():
    default = read(TOP / "config.yaml")
    asked = merge(default, read(TOP / "config" / "controls.yaml"))  # questions, controls, and claims written out
    asked["pages"]["claims"]["claims"] = read(TOP / "workflow" / "claims.yaml", list)
    paper = merge(default, read(TOP / "config" / "paper.yaml"))
    return [merge(default, TINY), merge(default, TINY_POINTS), paper, asked]


@fuzz.tries("plan")
@given(st.data())
def test_every_configuration_is_refused_in_a_sentence_or_planned(bases, data):
    config = mutated(data.draw, bases[data.draw(st.integers(0, 3), label="base")])
    if fuzz.over("plan"):
        return
    try:
        plan = Plan(parse(config))
        for artefact in plan.artefacts.values():
            resources.mem_mb(artefact)
            resources.runtime(artefact)
            resources.gpus(artefact)
    except StudyError as error:
        said = str(error)
        assert said
        assert "\n" not in said
        assert len(said) < 1500
        assert "Traceback" not in said
        fuzz.counts["plan", "refused"] += 1
        return
    fuzz.counts["plan", "planned"] += 1


TARGETS = [  # a table and a figure of each kind of study, in seconds
    ["table_digits", "fig_digits_samples", "fig_digits_pca", "table_digits_quality", "report"],
    ["table_1", "table_1d", "fig_1"],
]
SECONDS = 240  # after which a run is given up: it was larger than it looked


@pytest.mark.skipif(not fuzz.MINUTES, reason="whole runs take minutes: make fuzz")
@fuzz.tries("run")
@given(st.data())
def test_what_is_planned_runs_to_its_end_or_says_why_not(bases, tmp_path_factory, data):
    which = data.draw(st.integers(0, 1), label="base")
    config = mutated(data.draw, bases[which] | {"all": TARGETS[which]})
    try:
        plan = None if fuzz.over("run") else Plan(parse(config))
    except StudyError:
        return
    if plan is None:
        return
    targets = [name for name in config["all"] if name in plan.targets] if isinstance(config.get("all"), list) else []
    seconds = sum(resources.operations(a) for a in plan.ancestors(targets)) / resources.CPU_SPEED
    if not targets or seconds > 5 or any(plan.missing(a) for a in plan.ancestors(targets)):
        fuzz.counts["run", "too large, or without its data"] += 1
        return
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    command = [sys.executable, "-m", "guidance_study", "run", *targets, "--config", "config.yaml"]
    env = environment() | {"PYTHONPATH": os.environ.get("PYTHONPATH", str(TOP / "workflow"))}
    try:
        done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        fuzz.counts["run", "given up"] += 1
        return
    assert "Traceback" not in done.stderr, done.stderr[-4000:]
    assert done.returncode in (0, 2), done.stderr[-4000:]
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("error: "), done.stderr[-2000:]
        fuzz.counts["run", f"a sentence: {last[7:37]}"] += 1
    else:
        fuzz.counts["run", "to its end"] += 1
