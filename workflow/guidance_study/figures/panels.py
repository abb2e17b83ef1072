"""What figures with one panel row per experiment share: which artefacts they need, and how they read them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from guidance_study.config.base import Name, Scale
from guidance_study.config.sentences import known
from guidance_study.figures import Figure
from guidance_study.support.reading import read_array

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class Panels(Figure):
    """Generations of some experiments at one scale, before and after one postprocessing arm."""

    experiments: list[Name] = Field(min_length=1, description="names in `experiments`, one row of panels each")
    scale: Scale = Field(description="an evaluated guidance scale")
    arm: str = Field(description="arm name, for instance features_k20")

    def check(self, at: str, study: "Study") -> None:
        """Its names exist."""
        judged = [name for name, experiment in study.experiments.items() if not experiment.exact]
        for i, key in enumerate(self.experiments):
            known(f"{at}.experiments[{i}]", key, judged)
            experiment = study.experiments[key]
            known(f"{at}.scale", self.scale, experiment.evaluation.scales)
            known(f"{at}.arm", self.arm, [a.name for a in experiment.arms])

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """Role -> artefact, of the first training seed; and what the panels are called."""
        seed, inputs = plan.study.seeds[0], {}
        for name in self.experiments:
            experiment = plan.study.experiments[name]
            arm = next(a for a in experiment.arms if a.name == self.arm)
            inputs[f"samples/{name}"] = plan.evaluated(name, (self.scale,), seed)
            inputs[f"postprocessed/{name}"] = plan.postprocessed(name, arm, (self.scale,), seed)
            inputs[f"dataset/{name}"] = plan.dataset(plan.study.models[experiment.model].dataset, seed)
            if experiment.evaluator is not None:
                inputs[f"evaluator/{name}"] = plan.classifier(experiment.evaluator, seed)
        return inputs, {"guidance": {key: plan.study.experiments[key].guidance.title for key in self.experiments}}


@dataclass(frozen=True)
class Panel:
    """One experiment's arrays: generations before and after (n, *shape), their labels, the real data, who judges."""

    title: str
    before: "np.ndarray"
    after: "np.ndarray"
    labels: "np.ndarray"
    real: "np.ndarray"
    real_labels: "np.ndarray"
    evaluator: "nn.Module | None"


def read(job: "Job", name: str) -> Panel:
    """The panel of experiment `name` from a figure job's inputs."""

    from guidance_study.networks.models import load_classifier

    evaluator = job.inputs.get(f"evaluator/{name}")
    samples, dataset = job.inputs[f"samples/{name}"], job.inputs[f"dataset/{name}"].path
    guidance = job.params["guidance"][name].capitalize()
    return Panel(
        title=guidance if guidance.endswith("guidance") else f"{guidance} guidance",
        before=read_array(samples.path / "samples.npy", mmap_mode="r"),
        after=read_array(job.inputs[f"postprocessed/{name}"].path / "samples.npy", mmap_mode="r"),
        labels=read_array(samples.path / "labels.npy"),
        real=read_array(dataset / "train.npy", mmap_mode="r"),
        real_labels=read_array(dataset / "train_labels.npy"),
        evaluator=load_classifier(evaluator) if evaluator else None,
    )
