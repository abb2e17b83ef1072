"""The pages for people: a README of a size to be read, links that lead somewhere."""

import re

import pytest
from conftest import TOP

PAGES = sorted([*TOP.glob("*.md"), *TOP.glob("docs/**/*.md"), *TOP.glob("profiles/**/*.md"), TOP / "results/README.md"])


def test_readme_is_ten_kilobytes_at_most():
    assert len((TOP / "README.md").read_bytes()) <= 10_240


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(TOP)))
def test_links_resolve(page):
    """Those to files and folders of the project, and to headings of its pages."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists():
            broken.append(link)
        elif heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            if heading not in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}:
                broken.append(link)
    assert not broken
