"""A new file in a seam that is not complete stops the plan in one sentence: the file, the class, what it lacks."""

import shutil
import textwrap

import pytest
from conftest import TOP, command_line

NEW = """
from typing import ClassVar, Literal
from guidance_study.config.base import Spec
from guidance_study.{package} import *


class New({base}):
    kind: Literal["new"]
"""
EMBED = "def embed(self, samples, network): ..."
INCOMPLETE = {  # package, base class, the class's body, words of the sentence
    "dataset without facts": ("datasets", "Dataset", "def load(self): ...", ["lacks facts()", "Dataset in"]),
    "guidance without a title": (
        "guidance", "Guidance", 'short = "n"\nconditional: ClassVar[bool] = True\ndef start(self): ...',
        ["lacks title", "Guidance in"],
    ),
    "guidance that starts nothing": ("guidance", "Guidance", "", ["lacks conditional, short, title, start()"]),
    "process without a loss": (
        "processes", "Process", 'sampler = "ddim"\ndef times(self): ...\ndef denoiser(self): ...',
        ["lacks data(), loss(), sigma(), slope(); Process in guidance_study/processes/__init__.py"],
    ),
    "sampler that fits nothing": (
        "processes.samplers", "Sampler", "def sample(self): ...",
        ["lacks fits, evaluations(); Sampler in guidance_study/processes/samplers/__init__.py"],
    ),
    "embedding without embed": ("embeddings", "Embedding", "", ["lacks embed();"]),
    "stored embedding without weights": (
        "embeddings", "Embedding", f"stored = True\n{EMBED}", ["lacks weights: Weights, network()"],
    ),
    "network without operations": ("networks", "Network", "def build(self, shape, rows): ...", ["lacks operations()"]),
    "classifier's network without build": (
        "networks", "ClassifierNetwork", "def operations(self, shape, classes): ...",
        ["lacks build()", "ClassifierNetwork in guidance_study/networks/__init__.py"],
    ),
    "table without check": ("tables", "Table", "def needs(self): ...\ndef make(self): ...", ["lacks check()"]),
    "figure without draw": ("figures", "Figure", "def needs(self): ...\ndef check(self): ...", ["lacks draw()"]),
    "no kind": ("networks", "Network", "kind: str", ['lacks kind: Literal["..."]']),
    "another base": ("embeddings", "Spec", EMBED, ["must derive from Embedding of guidance_study/embeddings/__init"]),
    "a kind that is taken": ("embeddings", "Embedding", f'kind: Literal["pixels"]\n{EMBED}', ["'pixels'", "pixels.py"]),
    "no Python": ("tables", "Table", "def", ["SyntaxError"]),
    "a value without a type": ("guidance", "Guidance", "strength = 2", ["line 7", "PydanticUserError", "`strength"]),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the project's code and default configuration."""
    folder = tmp_path_factory.mktemp("seams")
    shutil.copytree(TOP / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "config.yaml", folder)
    return folder


@pytest.mark.parametrize("case", INCOMPLETE)
def test_an_incomplete_kind_stops_the_plan_in_one_sentence(case, folder):
    package, base, body, words = INCOMPLETE[case]
    path = folder.joinpath("workflow", "guidance_study", *package.split("."), "new.py")
    path.write_text(NEW.format(package=package, base=base) + textwrap.indent(body, "    "))
    done = command_line(folder, "plan")
    path.unlink()
    assert done.returncode == 2, done.stderr
    said = done.stderr.strip()
    assert "\n" not in said
    assert str(path.relative_to(folder / "workflow")) in said
    assert "class New" in said or "imported" in said
    for word in words:
        assert word in said, said


def test_snakemake_says_the_same_sentence(folder, snakemake):
    shutil.copy(TOP / "Snakefile", folder)
    shutil.copytree(TOP / "profiles", folder / "profiles")
    path = folder / "workflow" / "guidance_study" / "networks" / "new.py"
    path.write_text(NEW.format(package="networks", base="Network"))
    said = snakemake(folder, "-n", check=False).stdout
    path.unlink()
    assert "networks/new.py: class New lacks build(), operations()" in said
    assert "Traceback" not in said
    assert "seams.py" not in said
