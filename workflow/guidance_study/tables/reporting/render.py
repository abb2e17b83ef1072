"""Tables as Markdown, HTML and LaTeX."""

import re
from itertools import groupby

import pandas as pd

from guidance_study.support.text import as_html, as_latex, as_markdown, one_line

NUMBER = re.compile(r"[-+(]?\d[\d.]*(e[-+]?\d+)?(?![\w.])")  # 2D is a word


def framed(lines: list[dict]) -> pd.DataFrame:
    """Lines as a table; a key is a column's name, or (head, name) below a head that columns share."""
    table = pd.DataFrame(lines)
    table.columns = pd.MultiIndex.from_tuples([c if isinstance(c, tuple) else ("", c) for c in table.columns])
    return table


def number(mean: float, spread: float | None = None, digits: int = 3) -> str:
    """A mean, with its spread over seeds where there is one."""
    return f"{mean:.{digits}f}" + ("" if spread is None or pd.isna(spread) else f" ± {spread:.{digits}f}")


def render(table: pd.DataFrame, name: str, title: str, below: list[str]) -> dict[str, str]:
    """The table as Markdown, HTML and LaTeX, title above and notes below: {suffix: text}."""
    table = table.fillna("").map(one_line)
    return {
        ".md": _markdown(table, title, below),
        ".html": _html(table, title, below),
        ".tex": _latex(table, name, title, below),
    }


def _markdown(table: pd.DataFrame, title: str, below: list[str]) -> str:
    heads = [as_markdown(f"{top}: {low}" if top else low) for top, low in table.columns]
    aligned = ["---:" if numeric else "---" for numeric in map(_numeric, table.items())]
    rows = [heads, aligned, *([as_markdown(cell) for cell in row] for row in table.to_numpy())]
    body = "".join("| " + " | ".join(row) + " |\n" for row in rows)
    return f"**{as_markdown(title)}**\n\n{body}\n" + "".join(f"- {as_markdown(note)}\n" for note in below)


def _html(table: pd.DataFrame, title: str, below: list[str]) -> str:
    kinds = ["number" if numeric else "text" for numeric in map(_numeric, table.items())]
    lines = []
    if any(top for top, _ in table.columns):
        groups = [(top, len(list(same))) for top, same in groupby(top for top, _ in table.columns)]
        lines += ["".join(f'<th class="group" colspan="{n}">{as_html(top)}</th>' for top, n in groups)]
    lines += ["".join(f'<th class="{k}">{as_html(low)}</th>' for k, (_, low) in zip(kinds, table.columns, strict=True))]
    for row in table.to_numpy():
        lines += ["".join(f'<td class="{k}">{as_html(cell)}</td>' for k, cell in zip(kinds, row, strict=True))]
    listed = "".join(f"<li>{as_html(note)}</li>\n" for note in below)
    return (
        f'<!doctype html>\n<meta charset="utf-8">\n<title>{as_html(title)}</title>\n'
        "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
        "th,td{padding:.3em .8em;border-bottom:1px solid #ccc;white-space:nowrap}"
        ".text{text-align:left}.number{text-align:right}.group{text-align:center}</style>\n"
        f"<h1>{as_html(title)}</h1>\n<table>\n"
        + "".join(f"<tr>{line}</tr>\n" for line in lines)
        + f"</table>\n<ul>\n{listed}</ul>\n"
    )


def _latex(table: pd.DataFrame, name: str, title: str, below: list[str]) -> str:
    """With the package booktabs."""
    aligned = "".join("r" if numeric else "l" for numeric in map(_numeric, table.items()))
    lines = []
    if any(top for top, _ in table.columns):
        groups = [(top, len(list(same))) for top, same in groupby(top for top, _ in table.columns)]
        lines += [" & ".join(rf"\multicolumn{{{n}}}{{c}}{{{as_latex(top)}}}" for top, n in groups) + r" \\"]
    lines += [" & ".join(as_latex(low) for _, low in table.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(map(as_latex, row)) + r" \\" for row in table.to_numpy()]
    text = [
        r"\begin{table}", r"\centering", rf"\caption{{{as_latex(title)}}}", rf"\label{{tab:{name}}}",
        rf"\begin{{tabular}}{{{aligned}}}", r"\toprule", *lines, r"\bottomrule", r"\end{tabular}",
        *(rf"\par\footnotesize {as_latex(note)}" for note in below), r"\end{table}",
    ]  # fmt: skip
    return "\n".join(text) + "\n"


def _numeric(column: tuple) -> bool:
    """Whether a column, (name, cells), holds numbers: most of its cells begin with one, apart from what follows it."""
    _, cells = column
    said = [cell for cell in cells if cell and cell != "-"]
    return bool(said) and sum(NUMBER.match(cell) is not None for cell in said) > len(said) / 2
