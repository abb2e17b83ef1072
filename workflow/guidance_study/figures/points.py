"""Points in the plane before and after postprocessing (paper, Figs. 4a to c, 5 and S1)."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from guidance_study.config.base import Colour, Name, PositiveInt, Scales
from guidance_study.config.sentences import known
from guidance_study.figures import Figure
from guidance_study.tables.points import described, known_experiments
from guidance_study.tables.trajectories import of_dimension

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

OUTLIER = 0.999  # a point is marked where it is farther from real ones of its class than this share of real points are
RINGS = 100  # rings where all are outliers: the farthest ones, so that more rings are more outliers
LEAST = 0.001  # share outside of the frame that is said


class PointsFigure(Figure):
    """Ground truth, and generations at each scale before and after each arm; outliers ringed, boundaries drawn."""

    kind: Literal["points"]
    experiments: list[Name] = Field(min_length=1, description="names in `experiments`, judged by 'exact', in the plane")
    arms: list[str] = Field(min_length=1, description="arm names; one where there are several experiments")
    scales: Scales | None = Field(None, description="scales shown; null: every evaluated scale")
    n: PositiveInt = Field(2000, description="points drawn in a panel (our guess)")
    colours: list[Colour] = Field(["#0072B2", "#E69F00"], min_length=2, description="of the classes")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist."""
        known_experiments(f"{at}.experiments", self.experiments, study)
        counts = {len(self.scales or study.experiments[name].evaluation.scales) for name in self.experiments}
        if len(counts) > 1:
            raise ValueError(f"configuration key '{at}.experiments' must have equally many scales each, not {counts}")
        if len(self.experiments) > 1 and len(self.arms) > 1:
            raise ValueError(f"configuration key '{at}.arms' must hold one arm where there are several experiments")
        for name in self.experiments:
            experiment = study.experiments[name]
            of_dimension(f"{at}.experiments", study.models[experiment.model].dataset, 2, study)
            for i, arm in enumerate(self.arms):
                known(f"{at}.arms[{i}]", arm, [a.name for a in experiment.arms])
            for i, scale in enumerate(self.scales or []):
                known(f"{at}.scales[{i}]", scale, experiment.evaluation.scales)

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """Generations before and after, data, and guiding classifiers, of the first training seed."""
        seed, inputs, study = plan.study.seeds[0], {}, plan.study
        for name in self.experiments:
            experiment = study.experiments[name]
            scales = tuple(experiment.evaluation.scales)
            inputs[f"samples/{name}"] = samples = plan.evaluated(name, scales, seed)
            inputs[f"dataset/{name}"] = plan.dataset(study.models[experiment.model].dataset, seed)
            if "classifier" in samples.inputs:
                inputs[f"classifier/{name}"] = samples.inputs["classifier"]
            for arm in experiment.arms:
                if arm.name in self.arms:
                    inputs[f"postprocessed/{name}/{arm.name}"] = plan.postprocessed(name, arm, scales, seed)
        return inputs, {"settings": {name: described(name, study) for name in self.experiments}}

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure: several experiments a row each; one experiment a column for each scale."""
        from guidance_study.figures import style
        from guidance_study.tables.reporting.clouds import Cloud

        clouds = [Cloud.read(job, name, self.arms) for name in self.experiments]
        scales = [self.scales or cloud.scales for cloud in clouds]
        grid: list[list[tuple | None]]
        if len(clouds) > 1:
            grid = [
                [(cloud, None, None), *((cloud, s, a) for s in mine for a in ("before", self.arms[0]))]
                for cloud, mine in zip(clouds, scales, strict=True)
            ]
        else:
            states = ["before", *self.arms]
            grid = [[(clouds[0], scale, state) for scale in scales[0]] for state in states]
            grid = [[(clouds[0], None, None) if i == 0 else None, *row] for i, row in enumerate(grid)]
        size = style.WIDTH / len(grid[0])
        drawn, axes = style.figure(len(grid), len(grid[0]), style.WIDTH, (size + 0.85) * len(grid))
        for line, cells in zip(axes, grid, strict=True):
            for axis, cell in zip(line, cells, strict=True):
                if cell is None:
                    axis.axis("off")
                else:
                    self._panel(axis, size, *cell)
        self._legend(axes, grid, clouds)
        style.heading(drawn, self.title, self._about(clouds))
        return drawn

    def _panel(self, axis, size: float, cloud, scale, state) -> None:
        from guidance_study.figures import style
        from guidance_study.figures.style import REAL, WRONG

        points, labels = cloud.real_points(self.n) if scale is None else cloud.points(scale, state)
        axis.scatter(
            *cloud.real[:: max(1, len(cloud.real) // 4000)].T, s=0.4, color=REAL, linewidths=0, rasterized=True
        )
        shown = slice(0, self.n)
        colours = [self.colours[label] for label in labels[shown]]
        axis.scatter(*points[shown].T, s=1.6, c=colours, linewidths=0, rasterized=True)
        for line in cloud.boundary.lines:
            axis.plot(*line.T, color="black", linewidth=0.6)
        if cloud.line is not None:
            axis.plot(*cloud.line, color="black", linewidth=0.9, linestyle="dashed")
        if scale is None:
            axis.set_title(f"{cloud.name}\nground truth")
        else:
            far, share = cloud.outliers(points, labels, OUTLIER)
            rows = far[: round(RINGS * share)]
            mine = [self.colours[label] for label in labels[rows]]
            axis.scatter(*points[rows].T, s=1.6, c=mine, linewidths=0, rasterized=True)  # those not among the shown
            axis.scatter(*points[rows].T, s=9, facecolors="none", edgecolors=WRONG, linewidths=0.4, rasterized=True)
            outside = (abs(points) > cloud.reach).any(1).mean()
            said = f"{share:.1%}" + (f"\n{outside:.1%} outside" if outside >= LEAST else "")
            axis.set_xlabel(said, color=WRONG)
            axis.set_title(
                f"scale {scale:g}\n{style.wrapped(cloud.state_text(state), style.WIDTH, size / style.WIDTH)}"
            )
        axis.set_xlim(-cloud.reach, cloud.reach)
        axis.set_ylim(-cloud.reach, cloud.reach)
        axis.set_aspect("equal")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(True)
        axis.spines[:].set_linewidth(0.4)

    def _legend(self, axes, grid, clouds) -> None:
        """Below the ground truth where there is room."""
        from matplotlib.lines import Line2D

        from guidance_study.figures.style import WRONG

        free = [
            axis
            for line, cells in zip(axes, grid, strict=True)
            for axis, c in zip(line, cells, strict=True)
            if c is None
        ]
        if not free:
            return
        dot: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 4}
        handles = [Line2D([], [], color=c, label=f"class {i}", **dot) for i, c in enumerate(self.colours[:2])]
        handles.append(Line2D([], [], markerfacecolor="none", color=WRONG, label="outlier", **dot))
        handles.append(Line2D([], [], color="black", linewidth=0.8, label="boundary"))
        free[0].legend(handles=handles, loc="upper left")

    def _about(self, clouds) -> str:
        guided = any(cloud.line is not None for cloud in clouds)
        about = (
            f"red: share of outliers, farther from real points of their class than {OUTLIER:.1%} of real points are,"
            f" and of points outside the frame; rings: the farthest, {RINGS // 100} for each percent; solid: the true"
            " boundary"
        )
        about += "; dashed: the linear classifier's" if guided else ""
        factors = {cloud.gradient_factor for cloud in clouds}
        if factors != {1}:
            about += f"; gradient of log p(c | x) times {', '.join(f'{f:g}' for f in sorted(factors))} (our guess)"
        return about
