"""Checks across the parts of a configuration: names that must exist, and sizes that must fit."""

import math
from collections.abc import Collection

from guidance_study.config.experiments import Experiment
from guidance_study.stages import STAGES

SMALLEST_ABAR = 1e-8  # below it, x_0 is noise divided by next to nothing
COMPARED = ("blocks", "block_size", "manifold_k", "copy_quantile")


def check(study) -> None:
    """Raise ValueError, one sentence with key, value and what is allowed, at the first inconsistency."""
    _distinct("seeds", study.seeds)
    for i, seed in enumerate(study.seeds):
        if seed < 0:
            raise ValueError(f"configuration key 'seeds[{i}]' has the value {seed}: it must be 0 or more")
    for name, process in study.processes.items():
        if process.beta_end <= process.beta_start:
            raise ValueError(
                f"configuration key 'processes.{name}.beta_end' has the value {process.beta_end}:"
                f" it must be above beta_start, {process.beta_start}"
            )
        left = math.prod(1 - beta for beta in _betas(process))
        if left < SMALLEST_ABAR:
            raise ValueError(
                f"configuration key 'processes.{name}.beta_end' has the value {process.beta_end}: with {process.steps}"
                f" steps the signal left at the end, abar = {left:.1e}, must be at least {SMALLEST_ABAR:.0e}"
            )
    for name, model in study.models.items():
        at = f"models.{name}"
        _known(f"{at}.dataset", model.dataset, study.datasets)
        _known(f"{at}.process", model.process, study.processes)
        _known(f"{at}.network", model.network, study.networks)
        _fits(f"{at}.network", model.network, model.dataset, study)
    for name, classifier in study.classifiers.items():
        at = f"classifiers.{name}"
        _known(f"{at}.dataset", classifier.dataset, study.datasets)
        if classifier.process is not None:
            _known(f"{at}.process", classifier.process, study.processes)
    for name, embedding in study.embeddings.items():
        if hasattr(embedding, "classifier"):
            at = f"embeddings.{name}.classifier"
            _known(at, embedding.classifier, study.classifiers)
            _clean(at, embedding.classifier, study)
    for name, postprocessor in study.postprocessors.items():
        _known(f"postprocessors.{name}.network", postprocessor.network, study.networks)
    for name, experiment in study.experiments.items():
        _experiment(f"experiments.{name}", experiment, study)
    _outputs(study)


def _experiment(at: str, experiment: Experiment, study) -> None:
    _known(f"{at}.model", experiment.model, study.models)
    model = study.models[experiment.model]
    _guidance(f"{at}.guidance", experiment, model, study)
    process = study.processes[model.process]
    if experiment.sampler.steps > process.steps:
        raise ValueError(
            f"configuration key '{at}.sampler.steps' has the value {experiment.sampler.steps}: at most"
            f" {process.steps}, the steps of process '{model.process}'"
        )
    _known(f"{at}.evaluator", experiment.evaluator, study.classifiers)
    _clean(f"{at}.evaluator", experiment.evaluator, study)
    _same_dataset(f"{at}.evaluator", experiment.evaluator, model, study)
    if len(study.seeds) > 1 and study.classifiers[experiment.evaluator].seed is None:
        raise ValueError(
            f"configuration key '{at}.evaluator' has the value '{experiment.evaluator}': with several training seeds it"
            " needs a seed of its own, or the seeds' distances would not compare"
        )
    _distinct(f"{at}.pool.scales", experiment.pool.scales)
    fewest = len(experiment.pool.scales) * study.datasets[model.dataset].facts().classes
    if experiment.pool.n < fewest:
        raise ValueError(
            f"configuration key '{at}.pool.n' has the value {experiment.pool.n}: at least {fewest}, one of every class"
            " at every scale"
        )
    _distinct(f"{at}.evaluation.scales", experiment.evaluation.scales)
    smallest = min(study.datasets[model.dataset].facts().train_counts)
    for i, arm in enumerate(experiment.arms):
        here = f"{at}.arms[{i}]"
        _known(f"{here}.space", arm.space, study.embeddings)
        _known(f"{here}.postprocessor", arm.postprocessor, study.postprocessors)
        network = study.postprocessors[arm.postprocessor].network
        _fits(f"postprocessors.{arm.postprocessor}.network", network, model.dataset, study)
        if arm.k > smallest:
            raise ValueError(
                f"configuration key '{here}.k' has the value {arm.k}: at most {smallest}, the training images of the"
                f" smallest class of dataset '{model.dataset}'"
            )
        embedding = study.embeddings[arm.space]
        if hasattr(embedding, "classifier"):
            _same_dataset(f"embeddings.{arm.space}.classifier", embedding.classifier, model, study)
            if _same_network(embedding.classifier, experiment.evaluator, study):
                raise ValueError(
                    f"configuration key '{here}.space' has the value '{arm.space}': its features come from the"
                    f" network that evaluates, '{experiment.evaluator}'; use another classifier for one of the two"
                )


def _guidance(at: str, experiment: Experiment, model, study) -> None:
    guidance = experiment.guidance
    class_dropped = model.conditional and model.class_dropout > 0
    if (guidance.conditional and not class_dropped) or (not guidance.conditional and model.conditional):
        needed = "conditional with a class_dropout above 0" if guidance.conditional else "unconditional"
        raise ValueError(
            f"configuration key '{at}.kind' has the value '{guidance.kind}': model '{experiment.model}'"
            f" must be {needed}"
        )
    if hasattr(guidance, "classifier"):
        noisy = [name for name, c in study.classifiers.items() if c.process == model.process]
        if guidance.classifier not in study.classifiers:
            _known(f"{at}.classifier", guidance.classifier, noisy)
        _same_dataset(f"{at}.classifier", guidance.classifier, model, study)
        if study.classifiers[guidance.classifier].process != model.process:
            raise ValueError(
                f"configuration key '{at}.classifier' has the value '{guidance.classifier}': it must be trained on"
                f" noise of the model's process, '{model.process}'"
            )


def _outputs(study) -> None:
    for name in study.figures:
        if name in study.tables:
            raise ValueError(f"the name '{name}' is used twice, for a table and a figure; rename one of them")
    for name in [*study.tables, *study.figures]:
        if name in STAGES or name == "all":
            raise ValueError(f"the name '{name}' of a table or figure is taken by a rule; choose another")
    for name, table in study.tables.items():
        at = f"tables.{name}"
        for i, experiment in enumerate(table.experiments):
            _known(f"{at}.experiments[{i}]", experiment, study.experiments)
        for key in ("experiments", "scales", "arms", "metrics", "references"):
            _distinct(f"{at}.{key}", getattr(table, key) or [])
        used = [study.experiments[e] for e in table.experiments]
        for i, scale in enumerate(table.scales or []):
            for experiment in used:
                _known(f"{at}.scales[{i}]", scale, experiment.evaluation.scales)
        for i, arm in enumerate(table.arms or []):
            _known(f"{at}.arms[{i}]", arm, sorted({a.name for e in used for a in e.arms}))
        if "near_copies" in table.metrics and "train" not in table.references:
            raise ValueError(f"configuration key '{at}.references' needs 'train' where near_copies are tabulated")
        _comparable(at, table, used, study)
    for name, figure in study.figures.items():
        at = f"figures.{name}"
        for i, key in enumerate(figure.experiments):
            _known(f"{at}.experiments[{i}]", key, study.experiments)
            experiment = study.experiments[key]
            _known(f"{at}.scale", figure.scale, experiment.evaluation.scales)
            _known(f"{at}.arm", figure.arm, [a.name for a in experiment.arms])
    for i, name in enumerate(study.all):
        _known(f"all[{i}]", name, [*study.tables, *study.figures])


def _comparable(at: str, table, used: list[Experiment], study) -> None:
    """A table's distances compare only within one evaluator, dataset and sample size."""
    for name, experiment in zip(table.experiments, used, strict=True):
        for what, mine, first in (
            ("evaluator", experiment.evaluator, used[0].evaluator),
            ("dataset", study.models[experiment.model].dataset, study.models[used[0].model].dataset),
            *((k, getattr(experiment.evaluation, k), getattr(used[0].evaluation, k)) for k in COMPARED),
        ):
            if mine != first:
                raise ValueError(
                    f"configuration key '{at}.experiments': the {what} of '{name}' is {mine!r} and of"
                    f" '{table.experiments[0]}' {first!r}; one table compares only experiments that share it"
                )


def _fits(at: str, name: str, dataset: str, study) -> None:
    """A UNet needs images whose sides its levels halve evenly, and channels that its heads divide."""
    network, shape = study.networks[name], study.datasets[dataset].facts().shape
    if network.kind != "unet":
        return
    factor = 2 ** (len(network.channel_mult) - 1)
    if len(shape) != 3 or shape[1] % factor or shape[2] % factor:
        raise ValueError(
            f"configuration key '{at}' has the value '{name}': a UNet of {len(network.channel_mult)} levels needs"
            f" images with sides in multiples of {factor}, and those of '{dataset}' are {shape}"
        )
    size = network.num_head_channels
    for mult in network.channel_mult:
        channels = mult * network.model_channels
        if channels % (network.num_heads if size == -1 else size):
            raise ValueError(
                f"configuration key 'networks.{name}' has {channels} channels at a level: they must divide evenly among"
                f" num_heads {network.num_heads} or num_head_channels {size}"
            )


def _same_network(one: str, other: str, study) -> bool:
    """Whether two classifiers are one network for some training seed."""
    specs = [study.classifiers[name] for name in (one, other)]
    seeds = [{spec.seed} if spec.seed is not None else set(study.seeds) for spec in specs]
    first, second = (spec.model_copy(update={"seed": None}) for spec in specs)
    return first == second and bool(seeds[0] & seeds[1])


def _betas(process) -> list[float]:
    step = (process.beta_end - process.beta_start) / max(process.steps - 1, 1)
    return [process.beta_start + i * step for i in range(process.steps)]


def _known(at: str, value, allowed: Collection) -> None:
    if value not in allowed:
        shown = ", ".join(str(a) for a in allowed) or "none is declared"
        raise ValueError(f"configuration key '{at}' has the value {value!r}: allowed are {shown}")


def _distinct(at: str, values: list) -> None:
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"configuration key '{at}' holds {value} twice; every value may stand once")


def _clean(at: str, name: str, study) -> None:
    if study.classifiers[name].process is not None:
        raise ValueError(f"configuration key '{at}' has the value '{name}': it must be a clean classifier (no process)")


def _same_dataset(at: str, name: str, model, study) -> None:
    if study.classifiers[name].dataset != model.dataset:
        raise ValueError(
            f"configuration key '{at}' has the value '{name}': it must be trained on the model's dataset,"
            f" '{model.dataset}'"
        )
