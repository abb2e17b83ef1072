"""Fréchet distances and other metrics of images, before and after postprocessing (the form of the paper's Tab. 2)."""

from typing import Literal

from pydantic import Field

from guidance_study.config.base import Name, Scales, Spec
from guidance_study.config.sentences import distinct, known
from guidance_study.recipes import shown

COMPARED = ("blocks", "block_size", "manifold_k", "copy_quantile")


class ImageTable(Spec):
    """A table over experiments on images: rows are guidance and arm, columns are scales."""

    kind: Literal["images"]
    title: str = Field(description="one line above the table")
    experiments: list[Name] = Field(min_length=1, description="names in `experiments`")
    scales: Scales | None = Field(None, description="columns; null: every evaluated scale")
    arms: list[str] | None = Field(None, description="arm names, for instance features_k20; null: all")
    metrics: list[Literal["frechet", "accuracy", "precision", "recall", "density", "coverage", "near_copies"]] = Field(
        ["frechet"], min_length=1, description="what is tabulated (paper: FID; the others are our guess)"
    )
    references: list[Literal["train", "held_out"]] = Field(
        ["train", "held_out"], min_length=1, description="real images to compare with (our guess)"
    )
    controls: bool = Field(True, description="a retrieval row beside every postprocessing row (our guess)")

    def check(self, at: str, study) -> None:
        """Its names exist, and its experiments compare."""
        judged = [name for name, experiment in study.experiments.items() if not experiment.exact]
        for i, experiment in enumerate(self.experiments):
            known(f"{at}.experiments[{i}]", experiment, judged)
        for key in ("experiments", "scales", "arms", "metrics", "references"):
            distinct(f"{at}.{key}", getattr(self, key) or [])
        used = [study.experiments[e] for e in self.experiments]
        for i, scale in enumerate(self.scales or []):
            for experiment in used:
                known(f"{at}.scales[{i}]", scale, experiment.evaluation.scales)
        for i, arm in enumerate(self.arms or []):
            known(f"{at}.arms[{i}]", arm, sorted({a.name for e in used for a in e.arms}))
        if "near_copies" in self.metrics and "train" not in self.references:
            raise ValueError(f"configuration key '{at}.references' needs 'train' where near_copies are tabulated")
        self._comparable(at, used, study)

    def _comparable(self, at: str, used: list, study) -> None:
        """A table's distances compare only within one evaluator, dataset and sample size."""
        for name, experiment in zip(self.experiments, used, strict=True):
            for what, mine, first in (
                ("evaluator", experiment.evaluator, used[0].evaluator),
                ("dataset", study.models[experiment.model].dataset, study.models[used[0].model].dataset),
                *((k, getattr(experiment.evaluation, k), getattr(used[0].evaluation, k)) for k in COMPARED),
            ):
                if mine != first:
                    raise ValueError(
                        f"configuration key '{at}.experiments': the {what} of '{name}' is {mine!r} and of"
                        f" '{self.experiments[0]}' {first!r}; one table compares only experiments that share it"
                    )

    def needs(self, plan) -> tuple[dict, dict]:
        """The measures of every experiment, scale and seed."""
        inputs, sources = {}, []
        for key in self.experiments:
            experiment = plan.study.experiments[key]
            for scale in self.scales or experiment.evaluation.scales:
                for seed in plan.study.seeds:
                    role = f"{key}/{shown(scale)}/{seed}"
                    inputs[role] = plan.measures(key, scale, seed)
                    sources.append({"role": role, "experiment": key, "scale": scale, "seed": seed})
        return inputs, {
            "sources": sources,
            "settings": {key: self._setting(key, plan.study) for key in self.experiments},
        }

    def _setting(self, key: str, study) -> dict:
        """What the table says of the experiment behind it, and nothing that it does not say."""
        experiment = study.experiments[key]
        model, evaluation = study.models[experiment.model], experiment.evaluation
        arms = [arm for arm in experiment.arms if self.arms is None or arm.name in self.arms]
        flows = {arm.postprocessor: study.postprocessors[arm.postprocessor] for arm in arms}
        return {
            "guidance": experiment.guidance.title,
            "network": study.networks[model.network].kind,
            "training": model.training.plain(),
            "sampler": experiment.sampler.plain(),
            "pool": experiment.pool.plain(),
            "arms": {arm.name: {"space": arm.space, "k": arm.k, "train_on": arm.train_on} for arm in arms},
            "flows": [{"steps": f.training.steps, "solver": f.solver.plain()} for f in flows.values()],
            "manifold_k": evaluation.manifold_k,
            "copy_quantile": evaluation.copy_quantile,
        }

    def make(self, job):
        """(tidy numbers, table, notes)."""
        from guidance_study.reporting import collect
        from guidance_study.reporting.images import notes, pivot, summarise

        rows, contents = collect(job)
        summary = summarise(rows, job.params)
        return summary, pivot(summary, job.params), notes(rows, contents, job.params)
