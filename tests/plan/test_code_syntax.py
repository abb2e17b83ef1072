"""What a file of code says: layout and names do not count, everything that runs does, in every version of Python."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from conftest import TOP
from guidance_study.plan.syntax import Source, parsed

PLAIN = '''
"""A module."""
from guidance_study.support.text import shown
from pydantic import Field
import numpy as np

N = 3

class A(Spec):
    """A kind."""
    kind: Literal["a"]
    n: int = Field(1, ge=0, description="some words")

    def f(self, x):
        """Doc."""
        return f"{x!r:>{N}} and" + "ü" + str(x + 1.5)
'''
SAME = {
    "comments, layout and docstrings": PLAIN.replace('"""A kind."""', "# words").replace("x + 1.5", "(x\n   + 1.50)"),
    "descriptions of keys": PLAIN.replace("some words", "other words"),
    "quotes": PLAIN.replace('"ü"', "'\\xfc'"),
    "blocks for type checkers": PLAIN + "\nif TYPE_CHECKING:\n    import pandas\n",
    "the place of an import of ours": PLAIN.replace("from guidance_study.support.text import shown\n", "").replace(
        "N = 3", "N = 3\nfrom guidance_study.support.text import shown"
    ),
}
OTHER = {
    "a number": PLAIN.replace("1.5", "1.25"),
    "its type": PLAIN.replace("N = 3", "N = 3.0"),
    "a default": PLAIN.replace("Field(1", "Field(2"),
    "a text": PLAIN.replace('"ü"', '"u"'),
    "a format": PLAIN.replace("!r", "!s"),
    "an operator": PLAIN.replace("x + 1.5", "x - 1.5"),
    "an order": PLAIN.replace("str(x + 1.5)", "str(1.5 + x)"),
    "a decorator": PLAIN.replace("    def f", "    @cache\n    def f"),
    "what is imported": PLAIN.replace("import shown", "import canonical as shown"),
    "a foreign module": PLAIN.replace("import numpy", "import torch"),
}


@pytest.mark.parametrize("change", SAME)
def test_what_does_nothing_does_not_count(change):
    assert SAME[change] != PLAIN
    assert parsed(SAME[change].encode()) == parsed(PLAIN.encode())


@pytest.mark.parametrize("change", OTHER)
def test_what_runs_counts(change):
    assert OTHER[change] != PLAIN
    assert parsed(OTHER[change].encode()).body != parsed(PLAIN.encode()).body


@pytest.mark.parametrize(
    "lines",
    [
        ("from guidance_study.a import f", "from guidance_study.b import g as f"),
        ("from guidance_study.a import f", "def f(): ..."),
        ("from guidance_study.a import f", "from numpy import f"),
        ("from guidance_study.a import f", "f = 1"),
        ("from guidance_study.a import *", "from guidance_study.b import f"),
    ],
)
def test_of_two_that_bind_a_name_the_later_one_wins(lines):
    one, other = ("\n".join(order).encode() for order in (lines, lines[::-1]))
    assert parsed(one).body != parsed(other).body


def test_a_name_of_another_scope_is_another_name():
    one, other = "from guidance_study.a import f", "def g(f):\n    f = 1"
    assert parsed(f"{one}\n{other}".encode()) == parsed(f"{other}\n{one}".encode())


def test_what_only_looks_like_a_literal_is_no_constant():
    assert parsed(b"X = {[1]: 2}\nx.y = 3\nA, (B, *C) = 1, (2, 3)\n").constants.keys() == {"A", "B", "C"}


@pytest.mark.parametrize("line", ["from torchtext import Field", "from .pydantic import Field", "def Field(): ..."])
def test_descriptions_count_where_field_is_not_pydantics(line):
    text = PLAIN.replace("from pydantic import Field", line)
    assert parsed(text.replace("some words", "other words").encode()).body != parsed(text.encode()).body


def test_what_is_said_beside_the_digest():
    source = parsed(PLAIN.encode() + b"\nfrom ..config import seams\n")
    assert source.kinds == ["a"]
    assert source.constants == {"N": "(3)"}
    assert source.imports == [["..config", "seams"], ["guidance_study.support.text", "shown"]]


def test_where_an_import_comes_from_is_said_apart_in_the_order_of_the_text():
    """Two imports that change places are told apart, a module that is renamed everywhere is not."""
    first, second = (f"        from guidance_study.{m} import A as N\n" for m in "ab")
    text = f"def f(x):\n    if x:\n{first}    else:\n{second}"
    one, two = parsed(text.encode()), parsed(text.replace("study.a", "study.c").encode())
    assert one.body == two.body
    assert [module for module, _ in one.imports] == ["guidance_study.a", "guidance_study.b"]
    assert [module for module, _ in two.imports] == ["guidance_study.c", "guidance_study.b"]


GRAMMAR = """
def f(a, /, b: int = 1, *c, d=None, **e) -> str: return f"{a}{b!r:{d}}" f"x" "y"
async def g():
    async with h() as i, j: pass
    async for k in l: yield k
    return [m async for m in n if o]
match p:
    case {"q": [1, *_], **r} if s: t = (u := 1)
    case None | True | -1.5 | "v": pass
try: w = lambda *x: {**x, 1: 2}
except* ValueError as y: raise E from None
z: int
a[1:2, ..., ::3] @= b"\\x00\\xff" if 1j else not -10**50
"""


def versions() -> list[str]:
    """Other interpreters of this machine that can read the package."""
    names = [shutil.which(f"python3.{minor}") for minor in range(11, 20)]
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[1-9].*/bin/python"))
    found = {}
    for path in [*filter(None, names), *map(str, pyenv)]:
        done = subprocess.run([path, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
        if done.returncode == 0:
            found.setdefault(done.stdout.strip(), path)
    return [path for version, path in found.items() if version != str(sys.version_info[:2])]


def test_every_version_of_python_reads_the_same(tmp_path):
    """All of Python's grammar of 3.11, and every file of the package."""
    (tmp_path / "grammar.py").write_text(GRAMMAR)
    files = [tmp_path / "grammar.py", *sorted((TOP / "workflow" / "guidance_study").rglob("*.py"))]
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import syntax; from dataclasses import asdict; "
        "print(json.dumps([asdict(syntax.parsed(open(f, 'rb').read())) for f in sys.argv[2:]]))"
    )
    mine = [asdict(parsed(path.read_bytes())) for path in files]
    assert mine[0] != asdict(Source())
    others = versions()
    for python in others:
        command = [python, "-I", "-S", "-B", "-c", code, str(TOP / "workflow/guidance_study/plan"), *map(str, files)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == mine, python
    if not others:
        pytest.skip("there is no other Python from 3.11 on here")


def test_the_serialisation_of_the_grammar_does_not_change():
    """What other versions of Python are compared with where there is none."""
    assert parsed(GRAMMAR.encode()).body == "376a916698edd99024c74c331fbac366f34b2abb247034908c415e6108ad1f5f"
