"""Checks across the parts of a configuration: names that must exist, and sizes that must fit."""

from collections.abc import Collection

from guidance_study.config.experiments import Experiment
from guidance_study.stages import STAGES


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
    for name, model in study.models.items():
        at = f"models.{name}"
        _known(f"{at}.dataset", model.dataset, study.datasets)
        _known(f"{at}.process", model.process, study.processes)
        _known(f"{at}.network", model.network, study.networks)
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
    _distinct(f"{at}.pool.scales", experiment.pool.scales)
    _distinct(f"{at}.evaluation.scales", experiment.evaluation.scales)
    smallest = min(study.datasets[model.dataset].facts().train_counts)
    for i, arm in enumerate(experiment.arms):
        here = f"{at}.arms[{i}]"
        _known(f"{here}.space", arm.space, study.embeddings)
        _known(f"{here}.postprocessor", arm.postprocessor, study.postprocessors)
        if arm.k > smallest:
            raise ValueError(
                f"configuration key '{here}.k' has the value {arm.k}: at most {smallest}, the training images of the"
                f" smallest class of dataset '{model.dataset}'"
            )
        embedding = study.embeddings[arm.space]
        if hasattr(embedding, "classifier"):
            _same_dataset(f"embeddings.{arm.space}.classifier", embedding.classifier, model, study)
            if study.classifiers[embedding.classifier] == study.classifiers[experiment.evaluator]:
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
        _known(f"{at}.classifier", guidance.classifier, study.classifiers)
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
        used = [study.experiments[e] for e in table.experiments]
        for i, scale in enumerate(table.scales or []):
            for experiment in used:
                _known(f"{at}.scales[{i}]", scale, experiment.evaluation.scales)
        for i, arm in enumerate(table.arms or []):
            _known(f"{at}.arms[{i}]", arm, sorted({a.name for e in used for a in e.arms}))
    for name, figure in study.figures.items():
        at = f"figures.{name}"
        for i, key in enumerate(figure.experiments):
            _known(f"{at}.experiments[{i}]", key, study.experiments)
            experiment = study.experiments[key]
            _known(f"{at}.scale", figure.scale, experiment.evaluation.scales)
            _known(f"{at}.arm", figure.arm, [a.name for a in experiment.arms])
    for i, name in enumerate(study.all):
        _known(f"all[{i}]", name, [*study.tables, *study.figures])


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
