"""Files of weights say in their metadata what they are of, in bytes that follow from it alone."""

import subprocess
import sys

import pytest
import torch
from conftest import TOP, environment
from guidance_study.networks.models import exported
from guidance_study.support.errors import StudyError
from safetensors.torch import save_file

WRITE = """
import sys, torch
from pathlib import Path
from guidance_study.execution.job import Input, Job
from guidance_study.networks.models import save_weights
out = Path(sys.argv[1])
dataset = Input(out, {"params": {"kind": "digits"}})
params = {"z": 1, "a": {"y": 2, "x": [3]}}
save_weights({"b": torch.ones(2), "a": torch.zeros(1)}, Job(params, {"dataset": dataset}, out, out), "denoiser")
"""


def test_two_processes_write_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        env = environment() | {"PYTHONPATH": str(TOP / "workflow")}
        subprocess.run([sys.executable, "-c", WRITE, tmp_path / name], env=env, check=True)
    one, two = (tmp_path / name / "weights.safetensors" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    params, dataset = {"z": 1, "a": {"y": 2, "x": [3]}}, {"kind": "digits"}
    assert exported(one).recipe == {"stage": "denoiser", "params": params, "dataset": dataset}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "does not say what network it is of"),
        ({"guidance_study": "{}"}, "does not say what network it is of"),
        ({"guidance_study": '{"stage": ["denoiser"]}'}, "does not say what network it is of"),
        ({"guidance_study": "{"}, "is no safetensors file of this package"),
    ],
)
def test_files_that_say_nothing_of_their_network(tmp_path, metadata, said):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata)
    with pytest.raises(StudyError, match=said):
        exported(path)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(StudyError, match="is not there"):
        exported(path)
    path.write_bytes(b"not tensors")
    with pytest.raises(StudyError, match="is no safetensors file"):
        exported(path)
