"""One look for all figures: readable in print, told apart by colour-blind readers, the same bytes every time.

A package, since modules of this room are kinds, which the plan imports without matplotlib.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from guidance_study.support.text import as_plot

# Okabe & Ito's eight colours and two more of their own lightness; classes also carry their number.
CLASS_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C6D1F", "#000000", "#7F3C8D", "#7A9A01",
)  # fmt: skip
REAL = "#B8B8B8"  # real data behind generations
WRONG = "#D50000"  # what the evaluator finds to be of another class

SETTINGS: dict[Any, Any] = {
    "font.size": 8, "axes.titlesize": 9, "axes.labelsize": 8, "figure.titlesize": 10,
    "axes.spines.top": False, "axes.spines.right": False, "pdf.fonttype": 42, "savefig.dpi": 200,
}  # fmt: skip


def figure(
    rows: int, columns: int, width: float, height: float, widths: Sequence[float] | None = None
) -> tuple[Figure, list[list[plt.Axes]]]:
    """A figure of rows x columns panels, in inches, without overlaps; `widths` are the columns', relatively."""
    plt.rcParams.update(SETTINGS)
    drawn, axes = plt.subplots(
        rows, columns, figsize=(width, height), squeeze=False, layout="constrained", width_ratios=widths
    )
    return drawn, axes.tolist()


def heading(drawn: Figure, title: str, about: str) -> None:
    """A title above a figure and, smaller and wrapped below it, what the marks mean."""
    width = int(drawn.get_figwidth() * 17)
    lines = [*balanced(as_plot(title), int(width * 0.8)), *balanced(as_plot(about), width)]
    drawn.suptitle("\n".join(lines), fontsize=8)


def balanced(text: str, width: int) -> list[str]:
    """A text in as few lines of this width as it needs, all about as long: no word stands alone in the last one."""
    needed = len(textwrap.wrap(text, width))
    narrow = next(w for w in range(max(width // 2, 1), width + 1) if len(textwrap.wrap(text, w)) <= max(needed, 1))
    return textwrap.wrap(text, narrow)


def save(drawn: Figure, folder: Path) -> None:
    """Write .png and .pdf (points rasterised where their artist says so, text as text), free of dates."""
    drawn.canvas.draw()
    drawn.set_layout_engine("none")  # laid out once is enough for both
    drawn.savefig(folder / "figure.png", format="png", metadata={"Software": None})
    drawn.savefig(
        folder / "figure.pdf", format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None}
    )
    plt.close(drawn)
