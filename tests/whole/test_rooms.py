"""The rooms: an order that no import breaks, files and functions of a size to be read, a drawing that is today's."""

import ast
import subprocess
import sys
from pathlib import Path

from conftest import TOP

PACKAGE = TOP / "workflow" / "guidance_study"
sys.path.insert(0, str(TOP / "docs"))
import rooms  # noqa: E402 - a script beside the page that it draws


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def test_nothing_is_loose_at_the_top():
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py"}
    there = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert there == set(rooms.rooms())
    assert len(there) + 2 <= 21


def test_imports_go_down_and_the_plan_knows_no_arrays():
    """Held by import-linter's contracts in pyproject.toml; a circle would break the first."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=TOP, capture_output=True, text=True,
        env={"PYTHONPATH": str(TOP / "workflow"), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_drawing_is_of_this_code():
    text = rooms.PAGE.read_text(encoding="utf-8")
    assert rooms.page(text) == text, "run: python docs/rooms.py"
    assert all(f"`{room}`" in text for room in rooms.rooms())


def test_files_and_functions_can_be_read_at_once():
    long = []
    for path in [*modules(), *(TOP / "tests").rglob("*.py"), *(TOP / "benchmarks").glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        if len(text.splitlines()) > 300:
            long.append(str(path))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 60:
                long.append(f"{path}: {node.name}")
    assert not long


def test_public_functions_say_their_types_and_take_few_arguments():
    problems = []
    for path in modules():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            methods = node.body if isinstance(node, ast.ClassDef) else []
            for f in [node, *methods]:
                if not isinstance(f, ast.FunctionDef) or f.name.startswith("_"):
                    continue
                arguments = [
                    a for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs) if a.arg not in ("self", "cls")
                ]
                if len(arguments) > 7:
                    problems.append(f"{path.relative_to(PACKAGE)}: {f.name} takes {len(arguments)} arguments")
                if f.returns is None or any(a.annotation is None for a in arguments):
                    problems.append(f"{path.relative_to(PACKAGE)}: {f.name} lacks annotations")
    assert not problems, "\n".join(problems)
