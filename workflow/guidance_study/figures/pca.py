"""Generations on the first two principal components of the real data's features (paper, Fig. 6)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import PositiveInt
from guidance_study.figures.panels import Panels, read

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job


class PCAFigure(Panels):
    """PCA of the evaluator's features of the training data; generations before and after, coloured by class."""

    kind: Literal["pca"]
    n: PositiveInt = Field(6000, description="generations shown, at most (paper: 600 a digit)")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and a classifier judges its experiments."""
        super().check(at, study)
        for i, name in enumerate(self.experiments):
            if study.experiments[name].evaluator is None:
                raise ValueError(
                    f"configuration key '{at}.experiments[{i}]' has the value '{name}': it has no evaluator"
                )

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure: a row for each experiment; training data where they are new, before, after."""
        import numpy as np
        from sklearn.decomposition import PCA

        from guidance_study.figures import style
        from guidance_study.networks.models import features

        drawn, axes = style.figure(len(self.experiments), 3, style.WIDTH, 0.1 + 2.0 * len(self.experiments))
        shown: list[np.ndarray] = []  # training data that have a panel
        for row, name in zip(axes, self.experiments, strict=True):
            panel = read(job, name)
            assert panel.evaluator is not None  # `check` refuses such an experiment
            seen = features(panel.evaluator, panel.real)
            seen = two(seen)
            pca = PCA(2, svd_solver="full").fit(seen)
            real = pca.transform(seen)
            sets = [("training data", real, panel.real_labels)]
            for images, when in ((panel.before, "before"), (panel.after, "after")):
                points = pca.transform(two(features(panel.evaluator, images[: self.n])))
                sets.append((f"{panel.title.removesuffix(' guidance')},\n{when}", points, panel.labels[: self.n]))
            low, high = real.min(0), real.max(0)
            again = any(np.array_equal(real, before) for before in shown)  # training data that have a panel already
            for axis, (title, points, labels) in list(zip(row, sets, strict=True))[again:]:
                self._scatter(axis, title, points, labels, real, panel.real_labels)
                axis.set_xlim(low[0] - 0.15 * (high - low)[0], high[0] + 0.15 * (high - low)[0])
                axis.set_ylim(low[1] - 0.15 * (high - low)[1], high[1] + 0.15 * (high - low)[1])
            share = pca.explained_variance_ratio_ * 100
            for axis in row:
                axis.set(xticks=[], yticks=[], xlabel=f"component 1, {share[0]:.0f} %")
            row[int(again)].set_ylabel(f"component 2, {share[1]:.0f} %")
            if again:
                row[0].axis("off")
            shown.append(real)
        about = "grey: training data; numbers: median of a class's; per cent: of their variance; flow: "
        about += self.arm.replace("_", " ")
        style.heading(drawn, self.title, about)
        return drawn

    def _scatter(self, axis, title, points, labels, real, real_labels) -> None:
        import numpy as np

        from guidance_study.figures.style import CLASS_COLOURS, REAL

        axis.scatter(*real.T, s=2, color=REAL, linewidths=0, rasterized=True)
        colours = np.array(CLASS_COLOURS)[labels % len(CLASS_COLOURS)]
        axis.scatter(*points.T, s=2, c=colours, linewidths=0, alpha=0.7, rasterized=True)
        spots = _apart(np.stack([np.median(real[real_labels == c], axis=0) for c in np.unique(real_labels)]))
        for label, (x, y) in zip(np.unique(real_labels), spots, strict=True):
            box = {"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": CLASS_COLOURS[label % 10]}
            axis.text(x, y, str(label), ha="center", va="center", bbox=box)
        axis.set_title(title)


def two(seen: "np.ndarray") -> "np.ndarray":
    """Features (n, D) of at least two numbers: a second one, 0, beside a single one."""
    import numpy as np

    return seen if seen.shape[1] > 1 else np.pad(seen, ((0, 0), (0, 1)))


def _apart(spots, share: float = 0.15):
    """Spots (C, 2) moved until no two are closer than a share of their extent, so that labels do not hide another."""
    import numpy as np

    spots, extent = spots.astype(np.float64), np.ptp(spots, axis=0)
    for _ in range(100):
        gaps = (spots[:, None] - spots) / extent
        size = np.linalg.norm(gaps, axis=2) + np.eye(len(spots))
        push = np.clip(share - size, 0, None)[..., None] * gaps / size[..., None]
        if not push.any():
            break
        spots = spots + 0.5 * push.sum(1) * extent
    return spots
