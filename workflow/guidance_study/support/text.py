"""Plain values as text: one text for equal values; and a user's words in the languages of what is written."""

import html
import json
import string
from typing import Any


def canonical(value: Any) -> str:
    """Canonical JSON of plain types: sorted keys, no spaces; NaN and infinity are errors."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def shown(scale: float) -> str:
    """A scale in names and tables: short, and different for different scales."""
    return f"{scale:g}" if float(f"{scale:g}") == scale else repr(scale)


def one_line(text: str) -> str:
    """Words with single spaces between them, and nothing that does not print."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def as_html(text: str) -> str:
    """A user's words in HTML."""
    return html.escape(one_line(text))


def as_markdown(text: str) -> str:
    """A user's words in Markdown, in a cell of a table too."""
    return "".join("\\" + c if c in r"\`*_[]<>|#~&$" else c for c in one_line(text))


def as_plot(text: str) -> str:
    """A user's words in a figure of matplotlib: a dollar sign begins no mathematics."""
    return one_line(text).replace("\\", "\u29f5").replace("$", r"\$")


def as_rst(text: str) -> str:
    """A user's words in reStructuredText: every sign is itself."""
    return "".join("\\" + c if c in string.punctuation else c for c in one_line(text))


LATEX = {
    **{c: "\\" + c for c in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}", "±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def as_latex(text: str) -> str:
    """A user's words in LaTeX."""
    return "".join(LATEX.get(c, c) for c in one_line(text))
