"""How far the two sides of Eq. (4) are apart, learned parts replaced by exact ones one at a time."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Colour, Name
from guidance_study.figures import Figure
from guidance_study.tables.pairs import PairsSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from guidance_study.execution.job import Job

MARKERS = "osD^vP"
ROUNDING = 1e-10  # below it a distance is rounding error, and shown apart


class GapFigure(PairsSpec, Figure):
    """A line for each pair of runs, a point for each of the data; exact on both sides is rounding error."""

    kind: Literal["gap"]
    trajectories: list[Name] = Field(min_length=1, max_length=6, description="names in `trajectories`")
    colours: list[Colour] = Field(
        ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F"], min_length=6, description="of the data"
    )

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
        from guidance_study.figures import style
        from guidance_study.tables.reporting.trajectories import gaps

        rows = gaps(job, [pair.plain() for pair in self.pairs])
        rows = rows[rows["metric"] == "rms"]
        drawn, axes = style.figure(1, 2, style.WIDTH, 0.8 + 0.36 * len(self.pairs), widths=(1, 5))
        for axis, low in zip(axes[0], (True, False), strict=True):
            for i, name in enumerate(self.trajectories):
                mine = rows[(rows["data"] == name) & ((rows["value"] < ROUNDING) == low)]
                mean = mine.groupby("pair")["value"].mean()
                axis.scatter(mean, mean.index, marker=MARKERS[i], color=self.colours[i], s=26, zorder=3,
                             label=name.replace("_", " "))  # fmt: skip
                axis.scatter(mine["value"], mine["pair"], marker="|", color=self.colours[i], s=40, linewidths=0.8)
            axis.set_xscale("log")
            axis.set_ylim(len(self.pairs) - 0.5, -0.8)
            axis.grid(axis="x", color="#DDDDDD", linewidth=0.4, zorder=0)
        first = rows.drop_duplicates("pair")
        for pair, row in enumerate(first.itertuples()):  # above its points, from the left edge of both panels
            said = f"{_short(row.left)} | {_short(row.right)}, {row.steps}"
            over = axes[0][0].get_yaxis_transform()
            axes[0][0].text(0, pair - 0.25, said, va="bottom", transform=over, zorder=4).set_in_layout(False)
        axes[0][0].set_zorder(1)  # its words run over the other panel
        axes[0][0].patch.set_visible(False)
        axes[0][0].set_yticks([])
        axes[0][0].set_xlim(1e-17, 1e-13)
        axes[0][0].set_xlabel("rounding")
        axes[0][1].set_yticks([])
        axes[0][1].spines["left"].set_visible(False)
        axes[0][1].set_xlabel("RMS distance, scale 1")
        drawn.legend(*axes[0][1].get_legend_handles_labels(), loc="outside lower center", ncols=len(self.trajectories))
        about = (
            "left side of Eq. (4) | right side, sampling steps; exact: the mixture's closed form; ticks: single seeds"
        )
        style.heading(drawn, self.title, about)
        return drawn


def _short(side: str) -> str:
    """A side of Eq. (4) in words that fit above a row."""
    for long, short in (("unconditional", "uncond."), ("conditional", "cond."), (" classifier", "")):
        side = side.replace(long, short)
    return side
