"""Worlds whose answer is planted, measured and asked as the study's are: config/controls.yaml's questions, both ways.

Data: a Gaussian for each of two classes, left and right of x_0 = 0, the boundary. In the paper's world the bad
generations lie at the boundary, fewer at larger scales; flows mend them and leave the rest alone, and controls do worse
as the paper would have it. In the opposite world the bad ones lie far beyond their class, and flows bring all that
they touch nearer to the boundary. In the third world every set is data.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from guidance_study.config.loading import read
from guidance_study.datasets.mixtures import Mixture
from guidance_study.metrics import Metric
from guidance_study.metrics.oracle import Oracle
from guidance_study.metrics.sets.images import Images, Judge, RealImages
from guidance_study.metrics.sets.points import Points, RealPoints
from guidance_study.neighbours.targets import lowest
from guidance_study.tables.asking import Contrast
from guidance_study.tables.reporting.contrasts import answered
from torch import nn

SEEDS, N, SCALES = range(5), 2000, (1.0, 2.0, 2.5, 3.0, 4.0)
CENTRE, DEVIATION = 2.0, 0.5
POINTS = ("boundary", "neighbour_distance", "off_support", "movement")
IMAGES = ("frechet", "off_support", "movement", "margin")
UNPLANTED = ("truncation", "moves_distance")  # questions that are not whether bad ones sit at the boundary


def data(source: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Real points (n, 2) of these classes, 0 on the right."""
    return np.stack([CENTRE * (1 - 2 * labels), 0 * labels], 1) + DEVIATION * source.standard_normal((len(labels), 2))


class World:
    """Sets of one seed: generations before and after each arm, real data before and after a flow."""

    def __init__(self, which: str, seed: int):
        self.which, self.source = which, np.random.default_rng([seed, len(which)])
        self.labels = np.arange(N) % 2
        self.side = (1 - 2 * self.labels)[:, None]
        self.fresh = data(self.source, self.labels)

    def before(self, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Generations, and which of them are bad."""
        x, bad = data(self.source, self.labels), self.source.random(N) < 0.4 / scale
        if self.which != "data":
            away = 0.4 * self.source.random(N) if self.which == "paper" else 4 + self.source.random(N)
            x[bad] = np.stack([away * self.side[:, 0], self.source.standard_normal(N)], 1)[bad]
        return x, bad

    def after(self, arm: str, x: np.ndarray, bad: np.ndarray) -> np.ndarray:
        """What an arm makes of generations: `mended` ones become data, the others stay or are brought nearer."""
        if self.which == "data":
            return data(self.source, self.labels)
        if "_moves_" in arm:
            by, share = arm.split("_moves_")[1].split("_")
            key = {"margin": x[:, 0] * self.side[:, 0], "random": self.source.random(N), "distance": -1.0 * bad}[by]
            return np.where(lowest(key, self.labels, int(share) / 100)[:, None], self.after("main", x, bad), x)
        paper = self.which == "paper"
        better = paper == (arm in ("main", "points_k20", "features_k20") or arm.endswith(("low_half", "far_boundary")))
        mended = bad & (self.source.random(N) < (0.9 if better else 0.5))
        stays = x + 0.01 * self.source.standard_normal((N, 2)) - (0 if paper or better else 1.3) * self.side * [1, 0]
        return np.where(mended[:, None], data(self.source, self.labels), stays)

    def real_after(self) -> np.ndarray:
        """Real data after a flow: almost themselves, or moved as far as generations are."""
        moved = {"paper": 0.01, "opposite": 1.0, "data": 1.0}[self.which]
        return self.fresh + moved * self.source.standard_normal((N, 2))


class Known(Judge):
    """A judge whose boundary is x_0 = 0 and whose features are the pixels; another leans a little."""

    def __init__(self, name: str, lean: float, images: dict, labels: dict):
        self._images, self.name, self.network = images, name, nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
        with torch.no_grad():
            self.network[1].weight.copy_(torch.tensor([[1.0, lean], [-1.0, -lean]]))
            self.network[1].bias.zero_()

    def features(self, images: np.ndarray, of: str) -> np.ndarray:
        return images.reshape(len(images), -1).astype(np.float64)


class KnownImages(RealImages):
    """Real images of two pixels, seen by two judges."""

    def __init__(self, images: dict, labels: dict):
        self._known, self.images, self.labels = {}, images, labels
        self.judged = [Known("evaluator", 0.0, images, labels), Known("digits_second", 0.1, images, labels)]

    @property
    def spaces(self) -> list:
        return self.judged


def measured(world: World, arms: list[str], images: bool) -> list[dict]:
    """Rows as `measures` writes them, of every state, arm and scale."""
    shaped = (lambda x: x.reshape(-1, 1, 1, 2).astype(np.float32)) if images else (lambda x: x)
    there = {part: data(world.source, world.labels) for part in ("train", "held_out")}
    if images:
        real = KnownImages({p: shaped(x) for p, x in there.items()}, dict.fromkeys(there, world.labels))
        of = lambda x, *before: Images(  # noqa: E731
            shaped(x), world.labels, lambda: {s.name: s.features(shaped(x), "") for s in real.spaces},
            before=before[0] if before else None,
        )  # fmt: skip
    else:
        side, axes = [[CENTRE, 0.0], [-CENTRE, 0.0]], [np.eye(2).tolist()] * 2
        mixture = Mixture([0.5, 0.5], side, [[DEVIATION**2] * 2] * 2, axes, [0, 1])
        real = RealPoints(Oracle(mixture), there["held_out"], world.labels)
        of = lambda x, *before: Points(x, world.labels, real, *before)  # noqa: E731
    sets = []
    fresh = of(world.fresh)
    for scale in SCALES:
        x, bad = world.before(scale)
        before = of(x)
        sets.append(("before", None, scale, before))
        sets += [("after", arm, scale, of(world.after(arm, x, bad), before)) for arm in arms]
        sets.append(
            ("real_after", next(arm for arm in arms if arm.endswith("_k20")), scale, of(world.real_after(), fresh))
        )
    sets.append(("real", None, None, fresh))
    metrics = [Metric.of_recipe({"kind": kind}) for kind in (IMAGES if images else POINTS)]
    return [
        {"state": state, "arm": arm, "scale": scale, "run": None, "repeat": None, "reference_run": None, **vars(row)}
        for state, arm, scale, one in sets
        for metric in metrics if state in metric.states
        for row in metric.measure(one, real)
    ]  # fmt: skip


@cache
def answers(which: str, name: str) -> pd.DataFrame:
    """The planted questions of a table of config/controls.yaml, answered in a world."""
    table = read("config/controls.yaml")["tables"][name]
    asked = [Contrast.model_validate(contrast) for contrast in table["contrasts"]]
    asked = [c for c in asked if c.of.endswith("cfg_controls") and not any(u in str(c.plain()) for u in UNPLANTED)]
    arms = list(dict.fromkeys(side.arm for contrast in asked for side in contrast.sides if side.arm))
    rows = [
        row | {"seed": seed, "of": asked[0].of}
        for seed in SEEDS
        for row in measured(World(which, seed), arms, images="digits" in name)
    ]
    return answered(pd.DataFrame(rows), asked, table["family"])


TABLES = ["table_questions", "table_questions_digits"]


def test_both_tables_are_one_family():
    tables = [read("config/controls.yaml")["tables"][name] for name in TABLES]
    assert [table["family"] for table in tables] == [sum(len(table["contrasts"]) for table in tables)] * 2


@pytest.mark.parametrize("name", TABLES)
def test_where_bad_ones_sit_at_the_boundary_every_answer_is_the_papers(name):
    found = answers("paper", name).set_index("question")["answer"]
    assert (found == "yes").all(), found[found != "yes"]


@pytest.mark.parametrize("name", TABLES)
def test_where_they_do_not_every_answer_is_the_opposite(name):
    found = answers("opposite", name).set_index("question")["answer"]
    assert (found == "no: the opposite").all(), found[found != "no: the opposite"]


@pytest.mark.parametrize("name", TABLES)
def test_a_generator_that_is_the_data_shows_no_difference_between_arms(name):
    """Nothing is decided; and what compares arms, states or scales has an interval that holds zero, but for chance."""
    found = answers("data", name)
    pairs = found[(found["right"] != "") & (found["metric"] != "displacement")]
    assert (pairs["decided"] == "undecided").all()
    held = (pairs["low"] < 0) & (pairs["high"] > 0)
    assert len(pairs) >= 5 and (~held).sum() <= 2, pairs[~held]  # of intervals that each miss in 5 %
