"""The drawing of docs/architecture.md, made from the code's own imports: python docs/rooms.py

An arrow to a room that is reached through another one anyway is left out, and those to `support`, which everybody uses.
"""

import ast
import re
import tomllib
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PACKAGE = TOP / "workflow" / "guidance_study"
PAGE = TOP / "docs" / "architecture.md"


def rooms() -> list[str]:
    """The rooms in their order, lowest first: pyproject.toml's, which `lint-imports` holds."""
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    return next(contract["layers"] for contract in contracts if contract["type"] == "layers")[::-1]


def imports() -> dict[str, set[str]]:
    """Room -> the rooms that its modules import from, at the top or inside functions."""
    found: dict[str, set[str]] = {room: set() for room in rooms()}
    for room in found:
        for path in (PACKAGE / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "guidance_study":
                    below = node.module.split(".")[1:2] or [alias.name for alias in node.names]
                    found[room].update(below)
        found[room].discard(room)
    return found


def drawing() -> str:
    """The rooms as a Mermaid graph."""
    direct = imports()
    above: dict[str, set[str]] = {}
    for room in rooms():  # lowest first: what a room imports from is known before it
        above[room] = direct[room].union(*(above[below] for below in direct[room]))
    lines = ["```mermaid", "graph BT"]
    for room in rooms():
        shown = {below for below in direct[room] if not any(below in above[other] for other in direct[room] - {below})}
        lines += [f"  {room} --> {below}" for below in rooms() if below in shown - {"support"}]
    return "\n".join([*lines, "```"])


def page(text: str) -> str:
    """The page with today's drawing between its marks."""
    marks = r"(<!-- rooms -->\n).*?(\n<!-- /rooms -->)"
    text, found = re.subn(marks, lambda mark: mark[1] + drawing() + mark[2], text, flags=re.DOTALL)
    assert found == 1, f"{PAGE.name} has lost the marks around the drawing"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
