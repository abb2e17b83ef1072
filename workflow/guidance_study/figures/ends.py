"""Where the trajectories of several runs end in the plane, scale by scale (for the paper's scale 400)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Colour, Name
from guidance_study.config.sentences import known
from guidance_study.figures import Figure
from guidance_study.tables.trajectories import known_runs, of_dimension, travelled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class EndsFigure(Figure):
    """Rows: runs; columns: their scales. Every panel has its own range, which its corner says."""

    renamed: ClassVar = {"paths": "trajectories"}

    kind: Literal["ends"]
    trajectories: Name = Field(description="name in `trajectories`, data in the plane")
    runs: list[Name] = Field(min_length=1, description="names of runs with equal scales")
    colours: list[Colour] = Field(["#0072B2", "#E69F00"], min_length=2, description="of the classes")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and the runs' scales are the same."""
        known(f"{at}.trajectories", self.trajectories, study.trajectories)
        known_runs(at, [self.trajectories], self.runs, study)
        of_dimension(f"{at}.trajectories", study.trajectories[self.trajectories].dataset, 2, study)
        first = study.trajectories[self.trajectories].runs[self.runs[0]].scales
        for name in self.runs:
            known(
                f"trajectories.{self.trajectories}.runs.{name}.scales",
                study.trajectories[self.trajectories].runs[name].scales,
                [first],
            )

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The trajectories of the first seed."""
        return travelled(plan, [self.trajectories], plan.study.seeds[:1])

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
        import numpy as np

        from guidance_study.figures import style
        from guidance_study.tables.reporting.trajectories import read, side_text

        entry = read(job, job.params["sources"][0])
        scales = entry.run(self.runs[0])["scales"]
        drawn, axes = style.figure(len(self.runs), len(scales), style.WIDTH, 1.9 * len(self.runs))
        for line, run in zip(axes, self.runs, strict=True):
            for axis, scale in zip(line, scales, strict=True):
                ends = entry.of(run, scale)[-1]
                reach = 1.1 * max(float(np.abs(entry.real.x).max()), float(np.abs(ends).max()))
                real = entry.real.x[::10]
                axis.scatter(real[:, 0], real[:, 1], s=0.5, color=style.REAL, linewidths=0, rasterized=True)
                colours = [self.colours[label] for label in entry.labels]
                axis.scatter(ends[:, 0], ends[:, 1], s=2, c=colours, linewidths=0, rasterized=True)
                axis.set_xlim(-reach, reach)
                axis.set_ylim(-reach, reach)
                axis.set_aspect("equal")
                axis.set_xticks([])
                axis.set_yticks([])
                axis.set_title(f"scale {scale:g}\n± {reach:.3g}")
            spec = entry.run(run)
            line[0].set_ylabel(style.wrapped(side_text(spec), style.WIDTH, 0.3))
        style.heading(drawn, self.title, "grey: data; ±: half the panel's side, where the data's own is about 3")
        return drawn
