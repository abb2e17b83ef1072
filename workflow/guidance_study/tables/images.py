"""Fréchet distances and other metrics of images, before and after postprocessing (the form of the paper's Tab. 2)."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Name, Scales
from guidance_study.config.experiments import EVALUATOR
from guidance_study.config.sentences import comparable, distinct, known
from guidance_study.metrics import ImageMetricName
from guidance_study.support.text import shown
from guidance_study.tables import Table, known_scales_and_arms

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

COMPARED = ("repeats", "n", "manifold_k", "manifold_n", "copy_quantile", "spaces")
PAPER = Path(__file__).parents[2] / "paper_values.yaml"


class ImageTable(Table):
    """A table over experiments on images: rows are guidance and arm, columns are scales."""

    kind: Literal["images"]
    experiments: list[Name] = Field(min_length=1, description="names in `experiments`")
    scales: Scales | None = Field(None, description="columns; null: every evaluated scale")
    arms: list[str] | None = Field(
        None, description="arm names, for instance features_k20; null: all that are no controls"
    )
    metrics: list[ImageMetricName] = Field(
        ["frechet"], min_length=1, description="what is tabulated (paper: FID; the others are our guess)"
    )
    spaces: list[str] | None = Field(
        None, description="'evaluator', or names in the experiments' evaluation.spaces; null: all (paper: Inception)"
    )
    references: list[Literal["train", "held_out"]] = Field(
        ["train", "held_out"], min_length=1, description="real images to compare with (our guess)"
    )
    controls: bool = Field(True, description="a retrieval row beside every postprocessing row (our guess)")
    paper: Literal["table_2", "table_s1"] | None = Field(
        None, description="the paper's table whose numbers stand beside ours, with the difference"
    )

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and its experiments compare."""
        judged = [name for name, experiment in study.experiments.items() if not experiment.exact]
        for i, name in enumerate(self.experiments):
            known(f"{at}.experiments[{i}]", name, judged)
        for key in ("experiments", "scales", "arms", "metrics", "spaces", "references"):
            distinct(f"{at}.{key}", getattr(self, key) or [])
        used = [study.experiments[e] for e in self.experiments]
        known_scales_and_arms(at, self.scales, self.arms, used)
        judging = [EVALUATOR] if used[0].evaluator else []
        if not judging and not used[0].evaluation.spaces:
            raise ValueError(
                f"configuration key '{at}.experiments[0]' has the value '{self.experiments[0]}': it has neither an"
                " evaluator nor evaluation.spaces to judge it"
            )
        for i, space in enumerate(self.spaces or []):
            known(f"{at}.spaces[{i}]", space, [*judging, *used[0].evaluation.spaces])
        if self.paper and (
            len(self.spaces or [*judging, *used[0].evaluation.spaces]) > 1 or self.metrics != ["frechet"]
        ):
            raise ValueError(
                f"configuration key '{at}.paper' has the value '{self.paper}': the paper has Fréchet distances in one"
                " space, so metrics must be [frechet] and spaces one"
            )
        if self.paper and "train" not in self.references:
            raise ValueError(f"configuration key '{at}.references' needs 'train', which the paper's distances are to")
        if "near_copies" in self.metrics and "train" not in self.references:
            raise ValueError(f"configuration key '{at}.references' needs 'train' where near_copies are tabulated")
        comparable(f"{at}.experiments", {name: self._compared(name, study) for name in self.experiments})

    def _compared(self, name: str, study: "Study") -> dict:
        """What distances depend on: those of two experiments compare only where it is the same."""
        experiment = study.experiments[name]
        shared = {"evaluator": experiment.evaluator, "dataset": study.models[experiment.model].dataset}
        return shared | {key: getattr(experiment.evaluation, key) for key in COMPARED}

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """(experiment, scale) and the metrics that it shows of it."""
        for name in self.experiments:
            for scale in self.scales or study.experiments[name].evaluation.scales:
                yield (name, scale), self.metrics

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of every experiment, scale and seed."""
        inputs, sources = {}, []
        for (name, scale), _ in self.asks(plan.study):
            for seed in self.trained(plan.study.seeds):
                role = f"{name}/{shown(scale)}/{seed}"
                inputs[role] = plan.measures(name, scale, seed)
                sources.append({"role": role, "experiment": name, "seed": seed})
        said = {"sources": sources, "settings": {key: self._setting(key, plan.study) for key in self.experiments}}
        return inputs, said | ({"paper": paper_values(self.paper)} if self.paper else {})

    def _setting(self, key: str, study: "Study") -> dict:
        """What the table says of how an experiment was made, beside what its measures say."""
        experiment = study.experiments[key]
        model = study.models[experiment.model]
        arms = [arm for arm in experiment.arms if (not arm.control if self.arms is None else arm.name in self.arms)]
        flows = {arm.postprocessor: study.postprocessors[arm.postprocessor] for arm in arms}
        return {
            "network": study.networks[model.network].kind,
            "training": model.training.plain() if model.training else None,
            "sampler": experiment.sampler.plain(),
            "pool": experiment.pool.plain(),
            "flows": [{"steps": f.training.steps, "solver": f.solver.plain()} for f in flows.values()],
            "spaces": {name: study.embeddings[name].kind for name in experiment.evaluation.spaces},
        }

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting import collect
        from guidance_study.tables.reporting.images import notes, pivot, summarise

        rows, contents = collect(job, self.arms or ())
        summary = summarise(rows, job.params["spec"])
        return summary, pivot(summary, job.params), notes(rows, contents, job)


def paper_values(table: str) -> dict:
    """The numbers that the paper prints in a table."""
    from guidance_study.config.loading import read

    numbers: dict = read(PAPER)[table]
    return numbers
