"""Grids of the same generations before and after postprocessing (paper, Fig. S5)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import PositiveInt
from guidance_study.figures.panels import Panels, read

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job


class SamplesFigure(Panels):
    """One column a class; a red frame marks what the evaluator takes for another class."""

    kind: Literal["samples"]
    per_class: PositiveInt = Field(5, description="generations shown of each class (our guess)")
    choose: Literal["first", "most_moved"] = Field(
        "most_moved", description="the first ones by index, or those that the flow moves farthest (our guess)"
    )

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and there are enough generations of every class."""
        super().check(at, study)
        for name in self.experiments:
            experiment = study.experiments[name]
            classes = study.datasets[study.models[experiment.model].dataset].parts().classes
            there = experiment.evaluation.n * experiment.evaluation.repeats // classes
            if self.per_class > there:
                raise ValueError(
                    f"configuration key '{at}.per_class' has the value {self.per_class}: at most {there}, the"
                    f" generations of a class that experiment '{name}' has"
                )

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure: a row for each experiment, before on the left, after on the right."""
        from guidance_study.figures import style

        drawn, axes = style.figure(len(self.experiments), 2, style.WIDTH, 0.1 + 1.6 * len(self.experiments))
        for row, name in zip(axes, self.experiments, strict=True):
            panel = read(job, name)
            chosen = self._chosen(panel)
            for axis, images, when in zip(row, (panel.before, panel.after), ("before", "after"), strict=True):
                self._grid(axis, images, chosen, panel)
                axis.set_title(f"{panel.title}, {when}")
        judged = any(f"evaluator/{name}" in job.inputs for name in self.experiments)
        which = "that the flow moves farthest" if self.choose == "most_moved" else "first by index"
        about = f"of each class those {which}, by {self.arm.replace('_', ' ')}"
        about += "; red frame: the evaluator sees another class" if judged else ""
        style.heading(drawn, self.title, about)
        return drawn

    def _chosen(self, panel):
        """Indices (per_class, classes) of the generations shown."""
        import numpy as np

        moved = np.square(panel.after - panel.before).reshape(len(panel.labels), -1).sum(1)
        order = np.argsort(-moved, kind="stable") if self.choose == "most_moved" else np.arange(len(moved))
        classes = int(panel.real_labels.max()) + 1
        return np.stack([order[panel.labels[order] == c][: self.per_class] for c in range(classes)], axis=1)

    def _grid(self, axis, images, chosen, panel) -> None:
        from matplotlib.patches import Rectangle

        from guidance_study.figures.style import WRONG
        from guidance_study.networks.models import features, predicted

        rows, classes = chosen.shape
        tiles = images[chosen.ravel()]
        height, width = tiles.shape[2:]
        gap = gap_of(height)
        if panel.evaluator is not None:
            for i, guess in enumerate(predicted(panel.evaluator, features(panel.evaluator, tiles))):
                if guess != i % classes:
                    corner = (i % classes * (width + gap) - 0.5, i // classes * (height + gap) - 0.5)
                    axis.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=WRONG, linewidth=1.2))
        tiles = tiles.reshape(rows, classes, *tiles.shape[1:])
        axis.imshow(sheet(tiles).squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_xticks([c * (width + gap) + width / 2 - 0.5 for c in range(classes)], range(classes))
        axis.set_yticks([])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)


def gap_of(height: int) -> int:
    """Pixels between images of this height."""
    return max(1, height // 8)


def sheet(images: "np.ndarray") -> "np.ndarray":
    """Images (rows, columns, C, H, W) in [-1, 1] side by side on white: (height, width, C) uint8."""
    import numpy as np

    from guidance_study.metrics.images import to_uint8

    rows, columns, channels, height, width = images.shape
    gap = gap_of(height)
    out = np.full((rows * (height + gap), columns * (width + gap), channels), 255, dtype=np.uint8)
    for row, column in np.ndindex(rows, columns):
        y, x = row * (height + gap), column * (width + gap)
        out[y : y + height, x : x + width] = to_uint8(images[row, column]).transpose(1, 2, 0)
    return out
