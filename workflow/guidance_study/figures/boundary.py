"""The headline of the paper in one figure: how far from the decision boundary guidance takes samples, by scale."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Colour, Name, Spec, Title
from guidance_study.config.experiments import EVALUATOR
from guidance_study.config.sentences import known
from guidance_study.config.targets import OverSeeds
from guidance_study.figures import Figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class Line(Spec):
    """The samples of an experiment, or of a run of trajectories, at every scale."""

    of: Name = Field(description="name in `experiments` or `trajectories`")
    run: Name | None = Field(None, description="a run, of an entry of `trajectories`")
    judge: Name | None = Field(None, description="one of the experiment's `judges`; null: its evaluator (our guess)")
    label: Title = Field(description="in the legend")


class Panel(Spec):
    """Lines that share axes."""

    title: Title = Field(description="above the panel")
    lines: list[Line] = Field(min_length=1, max_length=6, description="what is drawn")


class BoundaryFigure(OverSeeds, Figure):
    """Mean signed distance to the boundary against the guidance scale; real data's as a line; seeds as a band."""

    kind: Literal["boundary"]
    panels: list[Panel] = Field(min_length=1, max_length=6, description="from left to right")
    reference: Name = Field("exact", description="run of trajectories that measures compare with (our guess)")
    colours: list[Colour] = Field(
        ["#0072B2", "#D55E00", "#56B4E9", "#CC79A7", "#009E73", "#000000"], min_length=6, description="of the lines"
    )

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and every experiment has a boundary: a mixture's, or a judge's."""
        for i, panel in enumerate(self.panels):
            for j, line in enumerate(panel.lines):
                here = f"{at}.panels[{i}].lines[{j}]"
                known(f"{here}.of", line.of, [*study.experiments, *study.trajectories])
                if line.of in study.trajectories:
                    known(f"{here}.run", line.run, study.trajectories[line.of].runs)
                    known(f"{at}.reference", self.reference, study.trajectories[line.of].runs)
                    known(f"{here}.judge", line.judge, [None])
                elif study.experiments[line.of].evaluator is None:
                    raise ValueError(f"configuration key '{here}.of' has the value '{line.of}': it has no evaluator")
                else:
                    known(f"{here}.run", line.run, [None])
                    known(f"{here}.judge", line.judge, [None, *study.experiments[line.of].judges])

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """The distances of everything that it shows."""
        for line in (line for panel in self.panels for line in panel.lines):
            if line.of in study.trajectories:
                yield (line.of, self.reference), ["boundary"]
            elif study.experiments[line.of].exact:
                yield (line.of, None), ["boundary"]
            else:
                for scale in study.experiments[line.of].evaluation.scales:
                    yield (line.of, scale), ["margin"]

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of every line and seed."""
        return plan.sources_of(self.asks(plan.study), self.trained(plan.study.seeds))

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
        from guidance_study.figures import style
        from guidance_study.tables.reporting import collect

        rows, _ = collect(job, None)
        rows = rows[rows["metric"].isin(["boundary", "margin"]) & rows["label"].isna()]
        width = max(2.4 * len(self.panels), 4.2)  # a title needs some
        legend = style.lines(width, max(len(panel.lines) for panel in self.panels) + 1)
        drawn, axes = style.figure(1, len(self.panels), width, 2.7 + legend)
        for axis, panel in zip(axes[0], self.panels, strict=True):
            for line, colour, marker in zip(panel.lines, self.colours, style.MARKERS, strict=False):
                self._line(axis, rows, line, {"color": colour, "marker": marker})
            axis.set_title(panel.title)
            axis.locator_params(axis="x", integer=True)  # scales are read at whole numbers
            axis.set_xlabel("guidance scale")
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
        axes[0][0].set_ylabel("mean distance\nto boundary")
        seeds = rows["seed"].nunique()
        about = "positive on the side of the class; dashed: real data"
        about += (
            f"; band: from the lowest to the highest of {seeds} training seeds" if seeds > 1 else "; one training seed"
        )
        style.heading(drawn, self.title, about)
        return drawn

    def _line(self, axis, rows: "pd.DataFrame", line: Line, look: dict[str, str]) -> None:
        mine = rows[(rows["of"] == line.of) & (rows["space"].isna() | (rows["space"] == (line.judge or EVALUATOR)))]
        before = mine[mine["state"].isna() & (mine["run"] == line.run)] if line.run else mine[mine["state"] == "before"]
        by_seed = before.groupby(["scale", "seed"])["value"].mean().unstack()
        axis.plot(by_seed.index, by_seed.mean(axis=1), markersize=4, label=line.label, **look)
        colour = look["color"]
        axis.fill_between(by_seed.index, by_seed.min(axis=1), by_seed.max(axis=1), color=colour, alpha=0.2, linewidth=0)
        real = mine[mine["state"] == "real"]
        if len(real):
            axis.axhline(real["value"].mean(), color=colour, linestyle="--", linewidth=0.8)
