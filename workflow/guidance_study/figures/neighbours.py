"""Generations and their nearest real neighbours in several spaces, side by side (paper, Fig. 8)."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Name, PositiveInt, Scale
from guidance_study.config.sentences import distinct, known
from guidance_study.figures import Figure
from guidance_study.support.reading import read_array

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class NeighboursFigure(Figure):
    """A row for each generation: itself, then its k nearest training images of its class in each space."""

    kind: Literal["neighbours"]
    experiment: Name = Field(description="name in `experiments`, on images")
    scale: Scale = Field(description="an evaluated guidance scale")
    spaces: list[Name] = Field(
        min_length=1, max_length=4, description="names in `embeddings` (paper: self-supervised, VAE latent, classifier)"
    )
    k: PositiveInt = Field(4, description="neighbours shown (our guess)")
    n: PositiveInt = Field(6, description="generations shown, the first ones: classes in turn (our guess)")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and it shows images."""
        known(f"{at}.experiment", self.experiment, study.experiments)
        experiment = study.experiments[self.experiment]
        known(f"{at}.scale", self.scale, experiment.evaluation.scales)
        distinct(f"{at}.spaces", self.spaces)
        for i, space in enumerate(self.spaces):
            known(f"{at}.spaces[{i}]", space, study.embeddings)
        dataset = study.models[experiment.model].dataset
        facts = study.datasets[dataset].parts()
        if len(facts.shape) != 3:
            raise ValueError(
                f"configuration key '{at}.experiment' has the value '{self.experiment}': its dataset '{dataset}'"
                " holds no images"
            )
        if self.k > min(facts.train_counts):
            raise ValueError(
                f"configuration key '{at}.k' has the value {self.k}: at most {min(facts.train_counts)}, the training"
                f" samples of the smallest class of dataset '{dataset}'"
            )

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """Generations, data, and neighbours in every space, of the first training seed."""
        seed, experiment = plan.study.seeds[0], plan.study.experiments[self.experiment]
        dataset = plan.study.models[experiment.model].dataset
        samples = plan.evaluated(self.experiment, (self.scale,), seed)
        inputs = {"samples": samples, "dataset": plan.dataset(dataset, seed)}
        for space in self.spaces:
            inputs[f"neighbours/{space}"] = plan.neighbours(samples, dataset, space, self.k, seed)
        return inputs, {"guidance": experiment.guidance.title}

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure: a panel of generations, and one for each space."""

        from guidance_study.figures import style
        from guidance_study.figures.samples import sheet

        generations = read_array(job.inputs["samples"].path / "samples.npy", mmap_mode="r")[: self.n]
        real = read_array(job.inputs["dataset"].path / "train.npy", mmap_mode="r")
        shown = len(generations)
        panels = [("generation", generations[:, None])]
        for space in self.spaces:
            index = read_array(job.inputs[f"neighbours/{space}"].path / "index.npy")[:shown, : self.k]
            panels.append((space.replace("_", " "), real[index]))
        widths = (1, *[self.k] * len(self.spaces))
        side = style.WIDTH / sum(widths)
        drawn, axes = style.figure(1, len(panels), style.WIDTH, 0.3 + side * shown, widths=widths)
        for axis, (title, images) in zip(axes[0], panels, strict=True):
            axis.imshow(sheet(images).squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_title(title)
            axis.axis("off")
        about = f"{job.params['guidance']} guidance, scale {self.scale:g}; nearest training images of the class first"
        style.heading(drawn, self.title, about)
        return drawn
