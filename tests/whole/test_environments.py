"""The pinned environments: pip's and conda's are the same, and they satisfy what the package asks for."""

import tomllib

import pytest
import yaml
from conftest import TOP
from packaging.requirements import Requirement


def pins(name: str) -> dict[str, str]:
    """Package -> version of a requirements file, its includes followed."""
    found = {}
    for line in (TOP / "envs" / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(line[3:])
        elif line and not line.startswith("#"):
            package, version = line.split("==")
            found[package.lower().replace("_", "-")] = version
    return found


@pytest.mark.parametrize("name", ["cpu", "cuda"])
def test_conda_and_pip_pin_the_same_versions(name):
    conda = yaml.safe_load((TOP / "envs" / f"{name}.yaml").read_text())
    listed = dict(line.lower().replace("_", "-").split("==") for line in conda["dependencies"][-1]["pip"])
    assert listed == pins(f"{name}.txt")


def test_the_two_requirement_files_differ_in_faiss_alone():
    cpu, cuda = pins("cpu.txt"), pins("cuda.txt")
    assert cpu.keys() ^ cuda.keys() == {"faiss-cpu", "faiss-gpu"}
    assert all(cpu[name] == cuda[name] for name in cpu.keys() & cuda.keys())


def test_pins_lie_in_the_ranges_of_the_package():
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    versions = pins("cpu.txt") | pins("cuda.txt")
    for text in [*project["dependencies"], *extras["cpu"], *extras["cuda"], *extras["dev"]]:
        wanted = Requirement(text)
        assert versions[wanted.name.lower()] in wanted.specifier, text
