"""Tables as Markdown, HTML and LaTeX."""

from html import escape

import pandas as pd


def framed(lines: list[dict]) -> pd.DataFrame:
    """Lines as a table; a key is a column's name, or (head, name) below a head that columns share."""
    table = pd.DataFrame(lines)
    table.columns = pd.MultiIndex.from_tuples([c if isinstance(c, tuple) else ("", c) for c in table.columns])
    return table


def number(mean: float, spread: float | None = None, digits: int = 3) -> str:
    """A mean, with its spread over seeds where there is one."""
    return f"{mean:.{digits}f}" + ("" if spread is None or pd.isna(spread) else f" ± {spread:.{digits}f}")


def render(table: pd.DataFrame, title: str, below: list[str]) -> dict[str, str]:
    """The table as Markdown, HTML and LaTeX, title above and notes below: {suffix: text}."""
    flat = table.copy()
    flat.columns = [f"{top}: {low}" if top else low for top, low in table.columns]
    head = "| " + " | ".join(flat.columns) + " |\n|" + " --- |" * len(flat.columns) + "\n"
    body = "".join("| " + " | ".join(row) + " |\n" for row in flat.fillna("").to_numpy())
    markdown = f"**{title}**\n\n{head}{body}\n" + "\n".join(f"- {note}" for note in below) + "\n"
    listed = "\n".join(f"<li>{escape(note)}</li>" for note in below)
    body_html = table.to_html(index=False, na_rep="", border=0).replace('halign="left"', 'style="text-align:center"')
    html = (
        f'<!doctype html>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        "<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
        "th,td{padding:.3em .8em;border-bottom:1px solid #ccc;text-align:right}</style>\n"
        f"<h1>{escape(title)}</h1>\n{body_html}\n<ul>\n{listed}\n</ul>\n"
    )
    tex = table.to_latex(index=False, na_rep="", multicolumn_format="c", escape=True).replace("±", r"$\pm$")
    tex = f"% {title}\n{tex}" + "".join(f"% {note}\n" for note in below)
    return {".md": markdown, ".html": html, ".tex": tex}
