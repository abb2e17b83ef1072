"""A user's words in HTML, Markdown, reStructuredText, LaTeX and figures: whatever they are, they are words there."""

import re
from html.parser import HTMLParser

import docutils.core
import fuzz  # noqa: F401 - how many tries hypothesis makes
import pandas as pd
import pytest
from guidance_study.support.text import as_html, as_latex, as_markdown, as_plot, as_rst, one_line
from guidance_study.tables.reporting.render import framed, render
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

HOSTILE = [
    "a\n\\input{/etc/passwd}", "<script>alert(1)</script>", "$x^2$ costs $5", "a | b | c", "*a* _b_ `c` [d](e)", "\\",
    ".. raw:: html", "`a <b>`_ |c| d_", "% comment", "100 % & #1 {a} ~ ^", "\u202eright to left", "a\0b\x1b[31m",
    "- a list", "# a heading", "1. one", "&amp; &lt;", "a" * 300,
]  # fmt: skip
words = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.words = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.words.append(data)


@given(words)
def test_words_in_html_are_read_back(text):
    page = Page(f"<p>{as_html(text)}</p>")
    assert page.tags == {"p"}
    assert "".join(page.words) == one_line(text)


@given(words)
def test_words_in_markdown_are_read_back(text):
    said = f"x{as_markdown(text)}x"
    page = Page(MarkdownIt("commonmark").enable("table").render(said))
    assert page.tags == {"p"}
    assert "".join(page.words).strip() == f"x{one_line(text)}x"


@given(words)
def test_words_in_rst_are_read_back_without_a_warning(text):
    said = as_rst(text)
    settings = {"report_level": 1, "halt_level": 1, "raw_enabled": True}
    tree = docutils.core.publish_doctree(f"x {said} x", settings_overrides=settings)
    assert tree.astext() == f"x {one_line(text)} x".replace("  ", " ") if one_line(text) else True
    assert {node.tagname for node in tree} == {"paragraph"}


@given(words)
def test_words_in_latex_hold_no_command_but_ours(text):
    said = as_latex(text)
    for known in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", r"\textless{}", r"\textgreater{}",
                  r"$\pm$", *(rf"\{c}" for c in "&%$#_{}")):  # fmt: skip
        said = said.replace(known, "")
    assert not re.search(r"[\\&%$#_{}~^\n]", said)


@given(st.lists(words, min_size=2, max_size=4), words, words)
def test_a_table_keeps_its_cells_whatever_stands_in_them(cells, title, note):
    names = [f"c{i}" for i in range(len(cells))]
    table = framed([dict(zip(names, cells, strict=True)), dict.fromkeys(names, "1.0 ± 0.2")])
    assert isinstance(table, pd.DataFrame)
    texts = render(table, "table_t", title, [note])
    page = Page(texts[".html"])
    assert page.tags <= {"meta", "title", "style", "h1", "table", "tr", "th", "td", "ul", "li"}
    lines = texts[".md"].splitlines()
    shown = MarkdownIt("commonmark").enable("table").render("\n".join(line for line in lines if line.startswith("|")))
    assert shown.count("<tr>") == 3
    assert shown.count("<td") == 2 * len(cells)
    rows = [line for line in texts[".tex"].splitlines() if line.endswith(r" \\")]
    assert len(rows) == 3
    assert all(len(re.findall(r"(?<!\\)&", row)) == len(cells) - 1 for row in rows)
    assert r"\caption{" in texts[".tex"]
    assert r"\label{tab:table_t}" in texts[".tex"]


@given(words)
def test_a_figure_draws_words_as_they_are(text):
    from guidance_study.figures import style

    drawn, axes = style.figure(1, 1, 2, 1)
    axes[0][0].set_title(as_plot(text))
    style.heading(drawn, text or "x", "about $5 and $6")
    drawn.canvas.draw()
    shown, mathematics = axes[0][0].title._preprocess_math(as_plot(text))
    assert not mathematics
    assert shown == one_line(text).replace("\\", "\u29f5")
    style.plt.close(drawn)


@pytest.mark.parametrize(("part", "whole", "said"), [(0.5, 1.0, "50%"), (1e-16, 1e-17, "-"), (0.3, 0.0, "-")])
def test_a_share_of_rounding_error_is_none(part, whole, said):
    from guidance_study.tables.reporting.trajectories import share

    assert share(part, whole) == said
