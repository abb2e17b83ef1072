"""Headings of figures."""

from guidance_study.figures.style import balanced


def test_headings_have_lines_of_about_the_same_length():
    text = "Both sides of Eq. (4) from the same noises: conditional model, and unconditional model with a classifier"
    for width in range(20, 120, 7):
        lines = balanced(text, width)
        assert " ".join(lines) == text
        assert all(len(line) <= width for line in lines)
        assert len(lines) == 1 or len(lines[-1]) >= min(map(len, lines[:-1])) / 3
    assert balanced("", 10) == []
    assert balanced("unbreakable" * 3, 12)
