"""Trajectories over t, the classifier's boundary among them, and where they end (paper, Figs. 1, 2a, 2b and 3)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Colour, Name, PositiveInt, Scales
from guidance_study.config.sentences import distinct, known
from guidance_study.config.trajectories import EXACT
from guidance_study.figures import Figure
from guidance_study.tables.trajectories import known_runs, of_dimension, travelled

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

GRID = 401  # points along x on which a classifier's boundary is sought


class TrajectoriesFigure(Figure):
    """Columns: data, with a row for each run; or scales, with a row for each of the data and one run."""

    renamed: ClassVar = {"paths": "trajectories"}

    kind: Literal["trajectories"]
    trajectories: list[Name] = Field(min_length=1, description="names in `trajectories`, data on a line")
    runs: list[Name] = Field(min_length=1, description="names of runs; exactly one where columns are scales")
    columns: Literal["data", "scales"] = Field(description="what the columns are (our guess)")
    scales: Scales = Field([1], description="scales shown; exactly one where columns are data (our guess)")
    shown: PositiveInt = Field(40, description="trajectories drawn of each class (our guess)")
    colours: list[Colour] = Field(["#0072B2", "#E69F00"], min_length=2, description="of the classes")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and its rows and columns fit."""
        known_runs(at, self.trajectories, self.runs, study)
        single = "scales" if self.columns == "data" else "runs"
        if len(getattr(self, single)) != 1:
            raise ValueError(f"configuration key '{at}.{single}' must hold one value where columns are {self.columns}")
        distinct(f"{at}.scales", self.scales)
        for name in self.trajectories:
            of_dimension(f"{at}.trajectories", study.trajectories[name].dataset, 1, study)
            for run in self.runs:
                for i, scale in enumerate(self.scales):
                    known(f"{at}.scales[{i}]", scale, study.trajectories[name].runs[run].scales)

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The trajectories of the first seed and the classifiers that guide in them."""
        inputs, said = travelled(plan, self.trajectories, plan.study.seeds[:1])
        for name in self.trajectories:
            runs, parts = (
                plan.study.trajectories[name].runs,
                inputs[f"trajectories/{name}/{plan.study.seeds[0]}"].inputs,
            )
            for run in self.runs:
                role = getattr(runs[run].guidance, "classifier", EXACT)
                if role != EXACT:
                    inputs[f"classifier/{name}/{role}"] = parts[f"part/{role}"]
        return inputs, said

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
        from guidance_study.figures import style
        from guidance_study.tables.reporting.trajectories import read

        entries = [read(job, source) for source in job.params["sources"]]
        if self.columns == "data":
            grid = [[(entry, run, self.scales[0]) for entry in entries] for run in self.runs]
        else:
            grid = [[(entry, self.runs[0], scale) for scale in self.scales] for entry in entries]
        drawn, axes = style.figure(len(grid), len(grid[0]), style.WIDTH, 0.6 + 1.45 * len(grid))
        reach = self._reach(grid)
        for row, (line, cells) in enumerate(zip(axes, grid, strict=True)):
            for column, (axis, (entry, run, scale)) in enumerate(zip(line, cells, strict=True)):
                self._panel(axis, job, entry, run, scale, reach)
                if row == 0:
                    axis.set_title(self._column_title(entry, scale))
                axis.tick_params(labelleft=column == 0, labelbottom=row == len(grid) - 1)
                if row == len(grid) - 1:
                    axis.set_xlabel("step t")
                if column == 0:
                    axis.set_ylabel(f"{self._row_title(entry, run)}\n$x_t$")
        self._legend(drawn, entries[0].oracle.classes)
        about = "boundary: p(c | x_t) = 1/2 of the guiding classifier, of the data where none guides; beside: ends of"
        about += " trajectories, and true densities"
        style.heading(drawn, self.title, about)
        return drawn

    def _reach(self, grid) -> float:
        """Half the height of all panels, which are compared."""
        import numpy as np

        ends = (np.abs(entry.of(run, scale)) for cells in grid for entry, run, scale in cells)
        return 1.05 * max(float(np.quantile(far, 0.9995)) for far in ends)

    def _legend(self, drawn: "Drawing", classes: int) -> None:
        from matplotlib.lines import Line2D

        handles = [Line2D([], [], color=c, label=f"class {i}") for i, c in enumerate(self.colours[:classes])]
        handles.append(Line2D([], [], color="black", linestyle="dashed", label="boundary"))
        drawn.legend(handles=handles, loc="outside lower center", ncols=len(handles))

    def _column_title(self, entry, scale: float) -> str:
        return self._data_title(entry) if self.columns == "data" else f"scale {scale:g}"

    def _row_title(self, entry, run: str) -> str:
        from guidance_study.tables.reporting.trajectories import side_text

        if self.columns == "scales":
            return self._data_title(entry)
        spec = entry.run(run)
        return side_text(spec).replace(" x ", "\nx ").replace(" classifier", "\nclassifier")

    def _data_title(self, entry) -> str:
        return f"means ±{float(entry.oracle.means.abs().max()):g}"

    def _panel(self, axis, job: "Job", entry, run: str, scale: float, reach: float) -> None:
        import numpy as np
        from matplotlib.collections import LineCollection

        trajectories = entry.of(run, scale)[:, :, 0]  # (frames, n)
        times = np.array(entry.times) + 1  # the last frame, x_0, stands at 0
        for label, colour in enumerate(self.colours[: entry.oracle.classes]):
            mine = trajectories[:, entry.labels == label][:, : self.shown]
            lines = [np.stack([times, path], 1) for path in mine.T]
            axis.add_collection(LineCollection(lines, color=colour, linewidth=0.4, alpha=0.6, rasterized=True))
        self._boundary(axis, job, entry, run, times, reach)
        axis.set_xlim(times[0], 0)
        axis.set_ylim(-reach, reach)
        axis.set_xticks([int(times[0]), 0])
        self._ends(axis, entry, trajectories[-1], reach)

    def _boundary(self, axis, job: "Job", entry, run: str, times, reach: float) -> None:
        """p(c | x_t) = 1/2 in the plane of t and x: of the guiding classifier, or where none guides the data's own."""
        import numpy as np
        import torch

        from guidance_study.config import seams
        from guidance_study.networks.models import device, load_classifier

        role = entry.run(run)["guidance"].get("classifier", EXACT)
        process = seams.parse("processes", entry.params["process"])
        if role == EXACT:
            classify, kind, where = entry.oracle.classifier(process), torch.float64, torch.device("cpu")
        else:
            classify = load_classifier(job.inputs[f"classifier/{entry.name}/{role}"])
            kind, where = torch.float32, device()
        x, ratio = np.linspace(-reach, reach, GRID), []
        with torch.no_grad():
            for step in np.maximum(times - 1, 0).tolist():
                t = torch.full((GRID,), step, device=where)
                logits = classify(torch.from_numpy(x)[:, None].to(where, kind), process.time(t))
                ratio.append((logits[:, 1] - logits[:, 0]).cpu().numpy())
        axis.contour(times, x, np.stack(ratio, 1), levels=[0], colors="black", linewidths=1, linestyles="dashed")

    def _ends(self, axis, entry, ends, reach: float) -> None:
        """Histograms of the end points beside the panel, and the true density of each class."""
        import numpy as np
        import torch

        side = axis.inset_axes([1.02, 0, 0.26, 1])
        x = np.linspace(-reach, reach, GRID)
        for label, colour in enumerate(self.colours[: entry.oracle.classes]):
            mine = ends[entry.labels == label]
            heights, edges = np.histogram(mine, bins=40, range=(-reach, reach), density=True)
            side.stairs(heights, edges, orientation="horizontal", fill=True, color=colour, alpha=0.55, linewidth=0)
            point = torch.from_numpy(x)[:, None]
            true = entry.oracle.log_density(point, label=torch.full((GRID,), label)).exp()
            side.plot(true.numpy(), x, color=colour, linewidth=0.9)
        side.set_ylim(-reach, reach)
        side.axis("off")
