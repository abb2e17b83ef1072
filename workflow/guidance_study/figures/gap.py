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
        drawn, axes = style.figure(1, 2, 7.2, 1.0 + 0.25 * len(self.pairs), widths=(1, 5))
        for axis, low in zip(axes[0], (True, False), strict=True):
            for i, name in enumerate(self.trajectories):
                mine = rows[(rows["data"] == name) & ((rows["value"] < ROUNDING) == low)]
                mean = mine.groupby("pair")["value"].mean()
                axis.scatter(mean, mean.index, marker=MARKERS[i], color=self.colours[i], s=26, zorder=3,
                             label=name.replace("_", " "))  # fmt: skip
                axis.scatter(mine["value"], mine["pair"], marker="|", color=self.colours[i], s=40, linewidths=0.8)
            axis.set_xscale("log")
            axis.set_ylim(len(self.pairs) - 0.5, -0.5)
            axis.grid(axis="both", color="#DDDDDD", linewidth=0.4, zorder=0)
        first = rows.drop_duplicates("pair")
        text = [f"{row.left}   |   {row.right}, {row.steps} steps" for row in first.itertuples()]
        axes[0][0].set_yticks(range(len(text)), text, fontsize=7)
        axes[0][0].set_xlim(1e-17, 1e-13)
        axes[0][0].set_xlabel("rounding")
        axes[0][1].tick_params(labelleft=False)
        axes[0][1].set_xlabel("RMS distance, scale 1")
        axes[0][1].legend(fontsize=7, loc="lower right")
        about = "left side of Eq. (4) | right side; exact parts are the mixture's closed form; ticks: single seeds"
        style.heading(drawn, self.title, about)
        return drawn
