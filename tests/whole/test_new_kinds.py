"""A new kind is one new file and a line of configuration, for every part that a study is made of.

The guidance rule and the network are those of docs/extend.md; all are planned, priced and run together.
"""

import json
import re
import subprocess
import sys

import pytest
from conftest import TOP, command_line, digests, environment, merge

FILES = {
    "datasets/stripes.py": '''
from typing import Literal

from guidance_study.datasets import Arrays, Dataset, Facts


class Stripes(Dataset):
    """Images of a horizontal or a vertical stripe."""

    kind: Literal["stripes"]
    side: int
    n: int

    def facts(self):
        return Facts((3, self.side, self.side), (self.n,) * 2, (self.n // 5,) * 2, {})

    def load(self):
        import numpy as np

        def part(n):
            images = np.full((2 * n, 3, self.side, self.side), -1, dtype=np.float32)
            rows = np.arange(n)
            images[rows, :, rows % self.side] = 1
            images[n + rows, :, :, rows % self.side] = 1
            return images, np.repeat(np.arange(2), n)

        return Arrays(*part(self.n), *part(self.n // 5))
''',
    "networks/mean_colour.py": '''
from typing import Literal

from guidance_study.networks import ClassifierNetwork


class MeanColour(ClassifierNetwork):
    """A linear layer on the means of rows and columns."""

    kind: Literal["mean_colour"]

    def check(self, shape):
        if len(shape) != 3:
            raise ValueError("colours are of images")

    def build(self, shape, classes, noisy):
        import torch
        from torch import nn

        class Module(nn.Module):
            def __init__(self):
                super().__init__()
                self.head = nn.Linear(shape[1] + shape[2], classes)

            def features(self, x, time=None):
                return torch.cat([x.mean((1, 2)), x.mean((1, 3))], dim=1)

            def forward(self, x, time=None):
                return self.head(self.features(x, time))

        return Module()

    def operations(self, shape, classes):
        return 2.0 * shape[0] * shape[1] * shape[2]
''',
    "embeddings/rows.py": '''
from typing import Literal

from guidance_study.embeddings import Embedding


class Rows(Embedding):
    """Means of rows."""

    kind: Literal["rows"]

    def embed(self, samples, network=None):
        return samples.mean((1, 3))
''',
    "tables/counts.py": '''
from typing import Literal

from guidance_study.tables import Table


class Counts(Table):
    """Generations of an experiment, counted."""

    kind: Literal["counts"]
    experiment: str

    def check(self, at, study):
        pass

    def needs(self, plan):
        return {"measures": plan.measures(self.experiment, 2.0, 0)}, {}

    def make(self, job):
        import json

        import pandas as pd

        from guidance_study.tables.reporting.render import framed

        found = json.loads((job.inputs["measures"].path / "measures.json").read_text())
        return pd.DataFrame({"measures": [len(found)]}), framed([{"measures": str(len(found))}]), []
''',
    "figures/blank.py": '''
from typing import Literal

from guidance_study.figures import Figure


class Blank(Figure):
    """Nothing but a title."""

    kind: Literal["blank"]

    def check(self, at, study):
        pass

    def needs(self, plan):
        return {}, {}

    def draw(self, job):
        from matplotlib.figure import Figure as Drawn

        drawn = Drawn()
        drawn.suptitle(self.title)
        return drawn
''',
}  # fmt: skip
TRAINING = {"steps": 5, "batch_size": 16, "lr": 0.001}
STUDY = {
    "datasets": {"stripes": {"kind": "stripes", "side": 8, "n": 100}},
    "networks": {"two": {"kind": "two_layers", "width": 16}},
    "models": {"stripes": {"dataset": "stripes", "process": "ddpm", "network": "two", "conditional": True,
                           "training": TRAINING}},
    "classifiers": {"stripes": {"dataset": "stripes", "network": {"kind": "mean_colour"}, "training": TRAINING}},
    "embeddings": {"rows": {"kind": "rows"}},
    "postprocessors": {"stripes": {"network": "two", "training": TRAINING}},
    "experiments": {"stripes": {
        "model": "stripes", "guidance": {"kind": "late_free"}, "sampler": {"kind": "ddim", "steps": 3},
        "pool": {"scales": [1, 2], "n": 40}, "evaluation": {"scales": [2.0], "repeats": 1, "n": 40},
        "arms": [{"space": "rows", "k": 3, "postprocessor": "stripes"}], "evaluator": "stripes"}},
    "tables": {"table_new": {"kind": "counts", "title": "New", "experiment": "stripes"}},
    "figures": {"fig_new": {"kind": "blank", "title": "New"}},
    "all": ["table_new", "fig_new"],
}  # fmt: skip


def of_readme() -> dict[str, str]:
    """The whole examples of docs/extend.md, by the file that each would be."""
    blocks = re.findall(r"\n  ```python\n(.*?)\n  ```", (TOP / "docs" / "extend.md").read_text(), re.DOTALL)
    found = {}
    for text in (re.sub(r"(?m)^  ", "", block) for block in blocks):
        package = re.search(r"from guidance_study\.(\w+) import [A-Z]", text).group(1)
        kind = re.search(r'kind: Literal."(\w+)"', text).group(1)
        found[f"{package}/{kind}.py"] = text
    return found


@pytest.fixture
def extended(project, default):
    """A function that lays out a project with a new kind in every seam, and these changes of its configuration."""

    def make(changes: dict):
        folder = project(merge(merge(default, STUDY), changes))
        for name, text in (FILES | of_readme()).items():
            path = folder / "workflow" / "guidance_study" / name
            assert not path.exists()
            path.write_text(text)
        return folder

    return make


@pytest.mark.slow
def test_a_study_of_new_kinds_alone_runs(extended):
    folder = extended({})
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr
    made = {address.split("-")[0] for address in digests(folder)}
    assert {
        "dataset/stripes", "denoiser/two_layers", "classifier/mean_colour", "samples/late", "neighbours/rows",
        "postprocessor/two_layers", "table/table_new", "figure/fig_new",
    } <= made  # fmt: skip


def test_new_kinds_are_priced_by_their_facts_and_methods(extended):
    folder = extended({"datasets": {"stripes": {"side": 64, "n": 25_000}}})
    size = 4 * 3 * 64 * 64 * 60_000
    assert f"dataset stripes, {size / 1e9:.3g} GB" in command_line(folder, "plan").stdout
    code = (
        "import json; from guidance_study.config.loading import load; from guidance_study.plan.plan import Plan\n"
        "from guidance_study.plan import resources, sizes\n"
        "plan = Plan(load(['config.yaml']))\n"
        "made = plan.dataset('stripes', 0), plan.denoiser('stripes', 0), plan.classifier('stripes', 0)\n"
        "print(json.dumps([sizes.rows(made[0]), *map(resources.operations, made[1:])]))"
    )
    environ = environment() | {"PYTHONPATH": "workflow"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environ, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    samples = 3 * TRAINING["steps"] * TRAINING["batch_size"]  # forward and backward
    assert json.loads(done.stdout) == [60_000, samples * 4 * 3 * 64 * 64 * 16, samples * 2 * 3 * 64 * 64]


def test_a_network_says_what_it_cannot_take(extended):
    folder = extended({"classifiers": {"stripes": {"dataset": "gauss_far"}}})
    said = command_line(folder, "plan").stderr.strip()
    assert said.startswith("error: configuration key 'classifiers.stripes.network.kind' has the value 'mean_colour'")
    assert "colours are of images" in said
    assert "\n" not in said


def test_a_table_of_points_that_asks_for_measures_of_images_says_so(extended):
    folder = extended({"tables": {"table_new": {"experiment": "fractal_c_cfg"}}})
    done = command_line(folder, "plan")
    assert done.returncode == 2
    assert "experiment 'fractal_c_cfg'" in done.stderr
    assert "its check() must refuse such an experiment" in done.stderr
    assert "\n" not in done.stderr.strip()


def test_the_cheapest_comparison_of_the_page_is_one_of_samples_alone(parsed):
    """Its overlay, another rule in the place of the one that the reader writes: nothing is trained but the base."""
    import yaml
    from guidance_study.plan.plan import Plan

    block = re.search(r"\n   ```yaml\n(.*?)\n   ```", (TOP / "docs" / "extend.md").read_text(), re.DOTALL).group(1)
    mine = yaml.safe_load(re.sub(r"(?m)^   ", "", block).replace("kind: mine", "kind: weight_schedule"))
    made = Plan(parsed(mine)).ancestors(["table_mine"])
    assert sorted(artefact.stage for artefact in made) == [
        "dataset", "denoiser", "measures", "measures", "samples", "samples", "table",
    ]  # fmt: skip
