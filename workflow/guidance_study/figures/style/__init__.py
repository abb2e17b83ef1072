"""One look for all figures: readable in print, told apart by colour-blind readers, the same bytes every time.

A package, since modules of this room are kinds, which the plan imports without matplotlib.
"""

import textwrap
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from guidance_study.support.text import as_plot

# Okabe & Ito's eight colours and two more of their own lightness; classes also carry their number.
CLASS_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000", "#7F3C8D", "#7A9A01",
)  # fmt: skip
MARKERS = "osD^vPX<>*p"  # of lines, for those to whom colours look alike
REAL = "#B8B8B8"  # real data behind generations
WRONG = "#D50000"  # what the evaluator finds to be of another class

WIDTH = 5.0  # inches of most figures
COLUMN = 8 / 2.54  # inches of a column of a paper, and about a phone's width
SMALLEST = 6.1  # points that any text has where a figure is as wide as a column
SETTINGS: dict[Any, Any] = {
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.handlelength": 1.2,
    "legend.handletextpad": 0.5, "legend.columnspacing": 1.2, "pdf.fonttype": 42, "savefig.dpi": 300,
}  # fmt: skip
TEXTS = (
    "font.size",
    "axes.titlesize",
    "axes.labelsize",
    "legend.fontsize",
    "figure.titlesize",
    "xtick.labelsize",
    "ytick.labelsize",
)


def figure(
    rows: int, columns: int, width: float, height: float, widths: Sequence[float] | None = None
) -> tuple[Figure, list[list[plt.Axes]]]:
    """A figure of rows x columns panels, in inches, without overlaps; `widths` are the columns', relatively.

    Its text is as large as it must be to be read where the figure is COLUMN wide. `heading` adds its own height.
    """
    plt.rcParams.update(SETTINGS | dict.fromkeys(TEXTS, points(width)))
    drawn, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", width_ratios=widths
    )
    drawn.get_layout_engine().set(h_pad=0.07)  # type: ignore[union-attr,call-arg]  # inches, so that no edge cuts
    return drawn, axes.tolist()


def points(width: float) -> float:
    """Size of the text of a figure of so many inches."""
    return SMALLEST * max(width / COLUMN, 1)


def lines(width: float, count: float) -> float:
    """Inches that so many lines of text take in a figure of this width."""
    return count * 1.25 * points(width) / 72


def wrapped(text: str, width: float, share: float = 1.0) -> str:
    """A text in lines that fit into a share of a figure of so many inches."""
    return "\n".join(balanced(text, max(int(share * width * 72 / (0.56 * points(width))), 1)))


def log_ticks(axis: plt.Axes) -> None:
    """Plain numbers on a logarithmic y-axis, a few of them however little of it is shown."""
    low, high = axis.get_ylim()
    few = MaxNLocator(4, steps=[1, 2, 5, 10])
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 3) if high < 300 * low else (1,)) if high > 5 * low else few)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(NullFormatter())


def heading(drawn: Figure, title: str, about: str) -> None:
    """A title above a figure and, wrapped below it, what the marks mean."""
    width, height = drawn.get_size_inches()
    said = "\n".join(wrapped(as_plot(text), width) for text in (title, about))
    drawn.set_figheight(height + lines(width, said.count("\n") + 1))
    drawn.suptitle(said)


def balanced(text: str, width: int) -> list[str]:
    """A text in as few lines of this width as it needs, all about as long: no word stands alone in the last one."""
    wrap = partial(textwrap.wrap, text, break_long_words=False)
    needed = len(wrap(width))
    narrow = next(w for w in range(max(width // 2, 1), width + 1) if len(wrap(w)) <= max(needed, 1))
    return wrap(narrow)


def save(drawn: Figure, folder: Path) -> None:
    """Write .png and .pdf (points rasterised where their artist says so, text as text), free of dates."""
    for _ in range(2):  # the first changes sizes, and with them ticks, whose labels the second makes room for
        drawn.draw_without_rendering()
    drawn.set_layout_engine("none")  # which is enough for both
    drawn.savefig(folder / "figure.png", format="png", metadata={"Software": None})
    drawn.savefig(
        folder / "figure.pdf", format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None}
    )
    plt.close(drawn)
