"""The code of a stage as a digest: a change of what a stage computes must raise its version, or be declared harmless.

A stage's code is its module and all modules of the package that it imports, at the top or inside functions, comments,
docstrings and formatting stripped. A seam (a package whose modules are found by kind) counts as a whole.
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

from guidance_study.config.seams import SEAMS
from guidance_study.config.stages import STAGES
from guidance_study.support.errors import StudyError
from guidance_study.support.writing import atomic_write

PACKAGE = Path(__file__).parents[1]
RECORD = PACKAGE.parent / "schemas" / "code_digests.json"
# How jobs are run, shown and stored changes no array: these may change without a word.
NEUTRAL = (
    "config",  # reaches a stage only as parameters, which are in the recipe
    "plan", "sources", "store", "support", "execution",
)  # fmt: skip
COMPUTING = ("store.rows", "support.randomness", "execution.sharding")  # in neutral rooms, yet part of results


def digest(stage: str) -> str:
    """SHA-256 of a stage's import closure."""
    total = hashlib.sha256()
    for name in sorted(closure(f"stages.{stage}")):
        total.update(f"{name}\n{_module(name)[1]}\n".encode())
    return total.hexdigest()


def closure(start: str) -> set[str]:
    """Names, below the package, of the modules that a module leads to, itself included, the neutral ones left out."""
    found, queue = set(), [start]
    while queue:
        name = queue.pop()
        if name in found or (name.split(".")[0] in NEUTRAL and name not in COMPUTING):
            continue
        found.add(name)
        queue += _module(name)[0]
    return found


@cache
def _module(name: str) -> tuple[list[str], str]:
    """The package's modules that a module imports, and its stripped source; a run reads every module once."""
    source = _path(name).read_text(encoding="utf-8")
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "parse" and node.args:
            seam = getattr(node.args[0], "value", None)  # seams.parse("guidance", ...) may lead to any kind
            if seam in SEAMS:
                folder = PACKAGE.joinpath(*seam.split("."))
                names += [f"guidance_study.{seam}.{p.stem}" for p in folder.glob("[a-z]*.py")]
    inside = [n.removeprefix("guidance_study.") for n in names if n.startswith("guidance_study.")]
    return [n for n in inside if _path(n).is_file()], stripped(source)


def _path(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def stripped(source: str) -> str:
    """Source without comments, docstrings and formatting."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[:1] = [] if len(body) > 1 else [ast.Pass()]
    return ast.unparse(tree)


def present() -> dict:
    """{stage: {version, code}} of the code as it is."""
    return {name: {"version": stage.version, "code": digest(name)} for name, stage in STAGES.items()}


def check() -> list[str]:
    """A sentence for each stage whose code is not the recorded one."""
    recorded, problems = json.loads(RECORD.read_text(encoding="utf-8")), []
    for name, now in present().items():
        if recorded.get(name) != now:
            problems.append(
                f"the code of stage '{name}' changed: if its results can change, raise its version in"
                f" guidance_study/config/stages.py; then record it: python -m guidance_study code"
                f" --same-results {name}"
            )
    return problems


def record(stages: list[str]) -> None:
    """Record the present code and version of some stages."""
    for name in stages:
        if name not in STAGES:
            raise StudyError(f"'{name}' is no stage; stages are {', '.join(STAGES)}")
    recorded = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    now = present()
    recorded |= {name: now[name] for name in stages}
    atomic_write(RECORD, (json.dumps(recorded, indent=1, sort_keys=True) + "\n").encode())
