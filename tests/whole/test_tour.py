"""docs/tour.ipynb: kept without outputs, and every cell runs, on a study that is trained next to nothing."""

import json
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from conftest import TOP, command_line, environment
from guidance_study.config.loading import parse
from guidance_study.plan.plan import Plan


@pytest.fixture
def tour():
    return nbformat.read(TOP / "docs" / "tour.ipynb", as_version=4)


def cells(tour) -> list:
    return [cell for cell in tour.cells if cell.cell_type == "code"]


def test_the_notebook_is_one_and_is_kept_without_outputs(tour):
    nbformat.validate(tour)
    assert all(not cell.outputs and cell.execution_count is None for cell in cells(tour))


@pytest.mark.slow
def test_the_tour_runs_from_load_to_distances(tour, project, tiny_points):
    folder = project(tiny_points)
    done = command_line(folder, "run", Plan(parse(tiny_points)).denoiser("fractal_c", 0).address)
    assert done.returncode == 0, done.stderr
    (folder / "docs").mkdir()
    said = "import json\nprint(json.dumps([[len(plt.get_fignums())], *[d.tolist() for d in distances.values()]]))"
    code = "\n".join([*(cell.source for cell in cells(tour)), said])
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder / "docs", text=True, capture_output=True,
                         env=environment() | {"PYTHONPATH": str(folder / "workflow"), "MPLBACKEND": "Agg"})  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    figures, *distances = json.loads(ran.stdout.splitlines()[-1])
    assert figures == [1]
    assert np.shape(distances) == (3, 1000)
    assert np.isfinite(distances).all()
    assert np.std(np.mean(distances, axis=1)) > 0  # guidance moves them
