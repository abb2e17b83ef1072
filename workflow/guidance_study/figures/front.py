"""Two measures against each other, quality against diversity say: a line a guidance rule, a point a scale."""

from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Colour, Name, Spec, Title
from guidance_study.config.experiments import EVALUATOR
from guidance_study.config.sentences import distinct, known
from guidance_study.config.targets import OverSeeds
from guidance_study.figures import Figure
from guidance_study.metrics import columns, metrics_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


COLOURS = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8C6D1F", "#7F3C8D", "#7A9A01",
    "#8A8A8A",
]  # fmt: skip


class Rule(Spec):
    """An experiment at all its scales."""

    of: Name = Field(description="name in `experiments`")
    label: Title = Field(description="in the legend")


class Front(Spec):
    """Rules on the same data, whose measures share axes."""

    title: Title = Field(description="above the panel")
    x: str = Field(description="a metric's column: of diversity, say")
    y: str = Field(description="a metric's column: of quality, say")
    log_y: bool = Field(False, description="y on a logarithmic axis (our guess)")
    rules: list[Rule] = Field(min_length=1, max_length=10, description="what is drawn")
    arm: str | None = Field(None, description="arm whose ends are drawn too; null: none (our guess)")


class FrontFigure(OverSeeds, Figure):
    """Means over training seeds against held-out data; filled before postprocessing, open after."""

    kind: Literal["front"]
    panels: list[Front] = Field(min_length=1, max_length=4, description="from left to right")
    colours: list[Colour] = Field(
        COLOURS,
        min_length=10,
        description="of the rules by label, in the order in which panels name them",
    )

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and both measures are of what its experiments are."""
        for i, panel in enumerate(self.panels):
            here = f"{at}.panels[{i}]"
            distinct(f"{here}.rules (of)", [rule.of for rule in panel.rules])
            for j, rule in enumerate(panel.rules):
                known(f"{here}.rules[{j}].of", rule.of, study.experiments)
                experiment = study.experiments[rule.of]
                if panel.arm is not None:
                    known(f"{here}.arm", panel.arm, [arm.name for arm in experiment.arms])
                for key in ("x", "y"):
                    known(f"{here}.{key}", getattr(panel, key), metrics_of("points" if experiment.exact else "images"))

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """Both measures of every experiment and scale."""
        for panel in self.panels:
            for rule in panel.rules:
                experiment = study.experiments[rule.of]
                for scale in [None] if experiment.exact else experiment.evaluation.scales:
                    yield (rule.of, scale), [panel.x, panel.y]

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of every rule and seed."""
        return plan.sources_of(self.asks(plan.study), self.trained(plan.study.seeds))

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
        from guidance_study.figures import style
        from guidance_study.tables.reporting import collect

        rows, _ = collect(job, None)
        rows = rows[rows["label"].isna() & (rows["space"].isna() | (rows["space"] == EVALUATOR))]
        rows = rows[rows["reference"].isna() | (rows["reference"] == "held_out")]
        labels = dict.fromkeys(rule.label for panel in self.panels for rule in panel.rules)
        width = max(2.5 * len(self.panels), style.WIDTH)
        drawn, axes = style.figure(1, len(self.panels), width, 2.6 + style.lines(width, (len(labels) + 1) // 2))
        looks = dict(zip(labels, zip(cycle(self.colours), cycle(style.MARKERS), strict=False), strict=False))
        for axis, panel in zip(axes[0], self.panels, strict=True):
            for rule in panel.rules:
                self._line(axis, rows[rows["of"] == rule.of], panel, rule.label, *looks[rule.label])
            axis.set_title(panel.title)
            axis.set_xlabel(_words(panel.x))
            axis.set_ylabel(_words(panel.y))
            if panel.log_y:
                axis.set_yscale("log")
                style.log_ticks(axis)
        handles = {line.get_label(): line for axis in axes[0] for line in axis.lines if line.get_label() in labels}
        drawn.legend(handles=[handles[label] for label in labels], loc="outside lower center", ncols=2)
        seeds = rows["seed"].nunique()
        about = "a point a scale, the largest one larger" + (
            "; open: after postprocessing" if any(panel.arm for panel in self.panels) else ""
        )
        style.heading(drawn, self.title, f"{about}; {seeds} training seed{'s' if seeds > 1 else ''}")
        return drawn

    def _line(self, axis, rows: "pd.DataFrame", panel: Front, label: str, colour: str, marker: str) -> None:
        ways = {"before": {"label": label, "markerfacecolor": colour}}
        if panel.arm:
            ways["after"] = {"linestyle": ":", "markerfacecolor": "white"}
            rows = rows[rows["arm"].isna() | (rows["arm"] == panel.arm)]
        for state, look in ways.items():
            mine = rows[rows["state"] == state]
            x, y = (_by_scale(mine[mine["metric"] == column]) for column in (panel.x, panel.y))
            axis.plot(x, y.reindex(x.index), color=colour, marker=marker, markersize=4, linewidth=1, **look)
            axis.plot(x.iloc[-1:], y.iloc[-1:], color=colour, marker=marker, markersize=7,
                      markerfacecolor=look["markerfacecolor"])  # fmt: skip


def _by_scale(rows: "pd.DataFrame") -> "pd.Series":
    return rows.groupby("scale")["value"].mean()


def _words(column: str) -> str:
    """A metric's column as its tables call it."""
    named = {**columns("images"), **columns("points")}
    return named[column].head if column in named else column.replace("_", " ")
