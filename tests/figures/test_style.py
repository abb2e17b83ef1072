"""Headings, sizes of text and ticks of figures."""

import re

import matplotlib.pyplot as plt
import pytest
from conftest import TOP
from guidance_study.figures import style
from guidance_study.figures.style import balanced
from matplotlib.text import Text


def test_headings_have_lines_of_about_the_same_length():
    text = "Both sides of Eq. (4) from the same noises: conditional model, and unconditional model with a classifier"
    for width in range(20, 120, 7):
        lines = balanced(text, width)
        assert " ".join(lines) == text
        assert all(len(line) <= width for line in lines)
        assert len(lines) == 1 or len(lines[-1]) >= min(map(len, lines[:-1])) / 3
    assert balanced("", 10) == []
    assert balanced("unbreakable" * 3, 12)


@pytest.mark.parametrize("width", [2.5, 5.0, 9.0])
def test_every_text_can_be_read_where_a_figure_is_as_wide_as_a_column(width):
    drawn, axes = style.figure(1, 2, width, 2)
    for axis in axes[0]:
        axis.plot([1, 3], [0.001, 1], label="drawn")
        axis.set(xlabel="x", ylabel="y", title="a panel", yscale="log")
        style.log_ticks(axis)
        axis.legend()
        axis.text(0, 0, "said")
    before = drawn.get_figheight()
    style.heading(drawn, "A title", "what the marks mean, in as many words as it takes to fill a second line with them")
    drawn.canvas.draw()
    texts = [text for text in drawn.findobj(Text) if text.get_text()]
    assert len(texts) > 12
    assert min(text.get_fontsize() for text in texts) * 8 / 2.54 / max(width, 8 / 2.54) >= 6
    assert drawn.get_figheight() > before
    plt.close(drawn)


def test_no_figure_has_a_size_of_text_of_its_own():
    for file in (TOP / "workflow" / "guidance_study" / "figures").glob("*.py"):
        assert not re.search(r"font_?size|labelsize", file.read_text()), file


@pytest.mark.parametrize(("low", "high"), [(1.9, 2.6), (0.01, 0.9), (1e-4, 3.0)])
def test_a_logarithmic_axis_has_a_few_plain_numbers_however_little_of_it_is_shown(low, high):
    drawn, axes = style.figure(1, 1, 3, 2)
    axes[0][0].plot([0, 1], [low, high])
    axes[0][0].set_yscale("log")
    style.log_ticks(axes[0][0])
    drawn.canvas.draw()
    shown = [float(text.get_text().replace("−", "-")) for text in axes[0][0].get_yticklabels() if text.get_text()]
    bottom, top = axes[0][0].get_ylim()
    assert 2 <= sum(bottom <= value <= top for value in shown) <= 8
    plt.close(drawn)


def test_labels_have_room_beside_the_ticks_that_the_layout_brings(tmp_path):
    """A layout changes the axes' size, and with it how many ticks there are and how wide their labels."""

    def left(laid_out) -> float:
        drawn, axes = style.figure(1, 1, 4.2, 3.8)
        axis = axes[0][0]
        for label in ("one", "two", "three"):
            axis.plot([1, 4], [0.8, 3.9], label=label)
        axis.set_xlabel("guidance scale")
        axis.set_ylabel("mean distance\nto boundary")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
        drawn.suptitle("one\ntwo\nthree\nfour")
        laid_out(drawn)
        return axis.get_position().x0

    def settled(drawn) -> None:
        for _ in range(6):
            drawn.canvas.draw()

    assert left(lambda drawn: style.save(drawn, tmp_path)) == pytest.approx(left(settled), abs=1e-3)
