"""Every command that a page or an overlay shows is one that the programs take, of targets and files that there are."""

import re
import shlex
from functools import cache

import pytest
from conftest import TOP
from guidance_study.__main__ import _parser
from guidance_study.config.loading import load

PAGES = [*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), *TOP.glob("config/*.yaml"), TOP / "docs/update.py"]
LINE = re.compile(r"^[#\s]*((?:snakemake|make|python)(?: .*)?)$", re.MULTILINE)
WITHIN = re.compile(r"`((?:snakemake|make|python -m guidance_study|python (?:docs|benchmarks)/)(?: [^`]*|[^`(]*))`")
MADE = re.search(r"^\.PHONY: (.*)$", (TOP / "Makefile").read_text(), re.MULTILINE)[1].split()
RULES = {"all", "download"}
EXAMPLE = "mine.yaml"  # which readers of extend.md write; tests of new kinds run its examples
NOISE = re.compile(r"\s#.*|\s> .*|[\[\]]|\.\.\.")  # comments, where output goes, marks of what may be left out


def shown() -> dict[str, str]:
    """Command -> the page that shows it, in its longest form."""
    found: dict[str, str] = {}
    for page in sorted(PAGES):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = []
        if page.suffix == ".md":
            lines = WITHIN.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
            text = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL))
        for line in [*LINE.findall(text), *lines]:
            for command in NOISE.sub("", line).split("&&"):
                found.setdefault(" ".join(command.split()), page.name)
    return found


@cache
def named(*overlays: str) -> set[str]:
    """Tables, figures and pages of a configuration."""
    return set(load([TOP / "config.yaml", *(TOP / overlay for overlay in overlays)]).targets)


def check(targets, overlays) -> None:
    overlays = [str(overlay) for overlay in overlays or []]
    if overlays != [EXAMPLE]:
        assert set(targets) <= RULES | named(*overlays)


@pytest.mark.parametrize(("command", "page"), shown().items())
def test_a_command_that_is_shown_is_taken(command, page):
    program, *words = shlex.split(command)
    if program == "make":
        assert all(word in MADE or "=" in word for word in words)
    elif words[:2] == ["-m", "guidance_study"]:
        if words[2:]:
            options = _parser().parse_args(words[2:])
            check(getattr(options, "targets", []), getattr(options, "configfile", []))
    elif program == "python":
        assert (TOP / words[0]).is_file()
    else:
        from snakemake.cli import parse_args

        _, options = parse_args(words)
        check(options.targets, options.configfile)
        assert all((TOP / profile).is_dir() for profile in options.profile or [])


def test_commands_are_found():
    found = shown()
    assert found["make"] == "CHANGELOG.md"
    assert "snakemake --cores all table_2 --configfile config/paper.yaml" in found
    assert "python -m guidance_study clean --configfile config/paper.yaml --yes" in found
