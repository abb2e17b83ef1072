"""Training curves: did what a study rests on learn, and had it stopped learning?"""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import Name, Spec, Title
from guidance_study.config.sentences import distinct, known
from guidance_study.figures import Figure

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

SHARE = 50  # the width of the running mean, in parts of a training


class Trainings(Spec):
    """What is trained alike, so that losses compare."""

    title: Title = Field(description="above the panel")
    models: list[Name] = Field(
        [], max_length=10, description="names in `models`; of one with weights from outside nothing is drawn"
    )
    classifiers: list[Name] = Field([], max_length=10, description="names in `classifiers`")

    @model_validator(mode="after")
    def _shows_something(self):
        if not self.models and not self.classifiers:
            raise ValueError("a panel of losses names models or classifiers")
        return self


class LossesFigure(Figure):
    """Running means of training losses, of the first training seed, over the share of the training that is done."""

    kind: Literal["losses"]
    panels: list[Trainings] = Field(min_length=1, max_length=4, description="from left to right")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist."""
        for i, panel in enumerate(self.panels):
            for key, there in (("models", study.models), ("classifiers", study.classifiers)):
                distinct(f"{at}.panels[{i}].{key}", getattr(panel, key))
                for j, name in enumerate(getattr(panel, key)):
                    known(f"{at}.panels[{i}].{key}[{j}]", name, there)

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The trainings of the first seed."""
        seed, models = plan.study.seeds[0], [name for panel in self.panels for name in panel.models]
        inputs = {f"models/{name}": plan.denoiser(name, seed) for name in models if plan.study.models[name].training}
        judges = [name for panel in self.panels for name in panel.classifiers]
        inputs |= {f"classifiers/{n}": plan.classifier(n, seed) for n in judges if plan.study.classifiers[n].training}
        return inputs, {"seed": seed}

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
        from guidance_study.figures import style
        from guidance_study.support.reading import read_array

        named = max(len(panel.models) + len(panel.classifiers) for panel in self.panels)
        rows, columns = (len(self.panels) + 1) // 2, min(len(self.panels), 2)
        drawn, axes = style.figure(rows, columns, style.WIDTH, rows * (2.4 + style.lines(style.WIDTH, named)))
        places = [axis for row in axes for axis in row]
        for axis in places[len(self.panels) :]:
            axis.axis("off")
        for axis, panel in zip(places, self.panels, strict=False):
            roles = [f"models/{name}" for name in panel.models] + [f"classifiers/{name}" for name in panel.classifiers]
            for role, colour in zip(roles, 2 * style.CLASS_COLOURS, strict=False):
                if role in job.inputs:
                    done, mean = smoothed(read_array(job.inputs[role].path / "losses.npy"))
                    axis.plot(done, mean, color=colour, linewidth=0.9, label=role.split("/")[1].replace("_", " "))
            axis.set_yscale("log")
            style.log_ticks(axis)
            axis.set_title(panel.title)
            axis.set_xlabel("share of the training")
            if axis.lines:
                axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3))
        for row in axes:
            row[0].set_ylabel("running mean")
        style.heading(drawn, self.title, f"a mean over a {SHARE}th of the training; training seed {job.params['seed']}")
        return drawn


def smoothed(losses: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """(share done, running mean) of losses (steps,), each mean at the end of its window of a SHARE-th of the steps."""
    import numpy as np

    width = max(len(losses) // SHARE, 1)
    total = np.concatenate([[0.0], np.cumsum(losses, dtype=np.float64)])
    mean = (total[width:] - total[:-width]) / width
    return np.arange(width, len(losses) + 1) / len(losses), mean
