"""What tests of datasets share: entries as Specs, what the stage makes of them, one sentence for a mistake."""

import json
import shutil

import numpy as np
import pytest
from guidance_study.config import seams
from guidance_study.config.stages import STAGES
from guidance_study.execution.job import Job
from guidance_study.sources.rawfiles import export_places
from guidance_study.stages import dataset
from guidance_study.support.errors import StudyError


def parse(entry: dict, **changes):
    return seams.parse("datasets", entry | changes)


def arrays(spec, tmp_path) -> dict[str, np.ndarray]:
    """What stage `dataset` makes of the recipe, far from the configuration's folder."""
    export_places(spec.files())
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    facts = spec.parts()
    params = json.loads(json.dumps({**spec.plain(), "raw": facts.raw}))
    assert "root" not in params
    job = Job(params, {}, out, tmp_path)
    dataset.make(job)
    found = {name.removesuffix(".npy"): np.load(out / name) for name in STAGES["dataset"].files}
    for part, counts in (
        ("train", facts.train_counts),
        ("judge", facts.judge_counts),
        ("held_out", facts.held_out_counts),
    ):
        x, y = found[part], found[f"{part}_labels"]
        assert x.dtype == np.float32
        assert x.shape == (sum(counts), *facts.shape)
        assert y.dtype == np.int64
        assert tuple(np.bincount(y, minlength=len(counts))) == counts
        assert job.facts[part] == len(x)
    return found


def sentence(call, *parts, error=StudyError) -> None:
    with pytest.raises(error) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    for part in parts:
        assert str(part) in said, said


def same_images(found: np.ndarray, labels: np.ndarray, expected: np.ndarray, expected_labels: np.ndarray) -> None:
    assert np.array_equal(np.rint((found + 1) * 127.5).astype(np.uint8), expected)
    assert np.array_equal(labels, expected_labels)
