"""Trajectories: parts learned and exact in one artefact, recorded frames, the gap that vanishes with exact parts."""

import json
import math

import numpy as np
import pytest
import torch
from conftest import command_line
from guidance_study.config.loading import merge, parse
from guidance_study.plan.plan import Plan
from guidance_study.processes.samplers import frame_times
from guidance_study.stages.trajectories import recorded
from guidance_study.store.rows import columns
from guided import DDPM, process, sampler

# Exact parts are float64. DDIM's steps enlarge an error by sqrt(abar after / abar before), so from noise to data by
# 1 / sqrt(abar) of the first; there are 150 steps at most, of a hundred roundings each, and all may add up.
EXACT = 150 * 100 / math.sqrt(DDPM.abar[-1]) * 2.0**-53
WRONG = 1e-3  # what a network of 20 training steps is off by, at the least: a million times as much


ANNEALED = {  # beside classifier-free guidance of the same scale, of a learned part that is told its class by a vector
    name: {"eps": "conditional", "guidance": {"kind": "condition_annealing"} | options, "scales": [3]}
    for name, options in {"annealed": {"tau_1": 0, "noise_scale": 1}, "not_annealed": {"tau_1": 1, "tau_2": 1}}.items()
} | {"free_at_3": {"eps": "conditional", "guidance": {"kind": "classifier_free"}, "scales": [3]}}


def test_frames_are_those_nearest_to_the_wanted_steps():
    ddpm = process(timesteps=100)
    path = [(step, torch.full((1, 1), float(step))) for step in sampler(steps=100).times(ddpm)[1:]]
    wanted = sampler(steps=4).times(ddpm)
    frames = recorded(path, torch.full((1, 1), 99.0), 99, wanted)
    assert frames.flatten().tolist() == wanted


def test_fewer_steps_than_frames_repeat_the_nearest():
    frames = recorded([(0, torch.zeros(1, 1)), (-1, -torch.ones(1, 1))], torch.ones(1, 1), 99, [99, 66, 33, 0, -1])
    assert frames.flatten().tolist() == [1, 1, 0, 0, -1]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The trajectories of one tiny study, made in one process, and the plan's artefact."""
    import shutil

    import yaml
    from conftest import TINY_POINTS, TOP
    from guidance_study.config.loading import read

    config = merge(merge(read(TOP / "config.yaml"), TINY_POINTS), {"trajectories": {"gauss_far": {"runs": ANNEALED}}})
    folder = tmp_path_factory.mktemp("trajectories")
    shutil.copytree(TOP / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    done = command_line(folder, "run", "table_gap")
    assert done.returncode == 0, done.stderr
    artefact = Plan(parse(config)).trajectories("gauss_far", 0)
    return folder / "results", artefact


def test_exact_classifier_guidance_retraces_the_exact_conditional_path(made):
    results, artefact = made
    trajectories, rows = np.load(results / artefact.address / "trajectories.npy"), columns(artefact.params)
    assert trajectories.shape == (len(rows), len(frame_times(artefact.params)), 20, 1)
    exact = trajectories[rows.index(("exact", 1.0))]
    assert np.abs(trajectories[rows.index(("exact_both", 1.0))] - exact).max() < EXACT
    assert np.abs(trajectories[rows.index(("nonlinear", 1.0))] - exact).max() > WRONG
    assert (trajectories[:, 0] == trajectories[0, 0]).all()  # all runs start from the same noises


def test_a_learned_part_is_told_its_class_by_a_vector(made):
    results, artefact = made
    trajectories, rows = np.load(results / artefact.address / "trajectories.npy"), columns(artefact.params)
    free = trajectories[rows.index(("free_at_3", 3.0))]
    assert (trajectories[rows.index(("not_annealed", 3.0))] == free).all()
    assert np.abs(trajectories[rows.index(("annealed", 3.0))] - free).max() > WRONG


def test_the_table_of_gaps_shows_it(made):
    import pandas as pd

    rows = pd.read_csv(made[0] / "tables" / "table_gap.csv")
    rms = rows[rows["metric"] == "rms"].groupby(["left", "right", "steps"])["value"].max()
    both = rms.loc["exact conditional", "exact unconditional x exact classifier"]
    assert both.loc["5"] < EXACT
    assert both.loc["150"] < EXACT
    assert rms.loc["learned conditional", "learned unconditional x learned nonlinear classifier"].loc["5"] > WRONG


def test_only_parts_that_a_run_uses_are_needed(parsed):
    runs = {"runs": {"exact": {"eps": "exact", "guidance": {"kind": "classifier_free"}, "scales": [1]}}}
    config = parsed().trajectories["gauss_far"].plain() | runs
    only = parse_with({"trajectories": {"new": config}})
    assert set(Plan(only).trajectories("new", 0).inputs) == {"dataset"}


def parse_with(changes: dict):
    from conftest import TOP
    from guidance_study.config.loading import read

    return parse(merge(read(TOP / "config.yaml"), changes))


def test_the_manifest_says_what_ran(made):
    results, artefact = made
    manifest = json.loads((results / artefact.manifest).read_text())
    assert manifest["recipe"]["params"]["runs"][0]["name"] == "classifier_free"
