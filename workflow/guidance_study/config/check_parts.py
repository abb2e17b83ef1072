"""Checks of the parts that experiments are made of: processes, models, classifiers, embeddings.

Each raises ValueError with one sentence.
"""

from typing import TYPE_CHECKING, Any

from guidance_study.config.sentences import known
from guidance_study.config.training import Model
from guidance_study.config.trajectories import EXACT

if TYPE_CHECKING:
    from guidance_study.config.study import Study


def parts(study: "Study") -> None:
    """All parts of a study, whether an experiment uses them or not."""
    for name, process in study.processes.items():
        process.check(f"processes.{name}")
    _models(study)
    _classifiers(study)
    for name, embedding in study.embeddings.items():
        if hasattr(embedding, "classifier"):
            at = f"embeddings.{name}.classifier"
            known(at, embedding.classifier, study.classifiers)
            clean(at, embedding.classifier, study)


def _models(study: "Study") -> None:
    for name, model in study.models.items():
        at = f"models.{name}"
        not_exact(at, name)
        known(f"{at}.dataset", model.dataset, study.datasets)
        known(f"{at}.process", model.process, study.processes)
        known(f"{at}.network", model.network, study.networks)
        fits(f"{at}.network", model.network, study.networks[model.network], model.dataset, study)
        _augmented(at, model, study)


def _classifiers(study: "Study") -> None:
    for name, classifier in study.classifiers.items():
        at = f"classifiers.{name}"
        not_exact(at, name)
        known(f"{at}.dataset", classifier.dataset, study.datasets)
        fits(f"{at}.network.kind", classifier.network.kind, classifier.network, classifier.dataset, study)
        if classifier.part == "judge" and not min(study.datasets[classifier.dataset].parts().judge_counts):
            raise ValueError(
                f"configuration key '{at}.part' has the value 'judge': a class of dataset '{classifier.dataset}' has no"
                f" sample set apart for judges; raise datasets.{classifier.dataset}.judges"
            )
        if classifier.process is not None:
            known(f"{at}.process", classifier.process, discrete(study))


def _augmented(at: str, model: Model, study: "Study") -> None:
    """Mirroring and moving is for images; a network that is told of it must be one that listens."""
    images = len(study.datasets[model.dataset].parts().shape) == 3
    if (model.flip or model.augment) and not images:
        key = "flip" if model.flip else "augment"
        raise ValueError(f"configuration key '{at}.{key}' is set: only images can be moved, not '{model.dataset}'")
    network, process = study.networks[model.network], study.processes[model.process]
    if model.augment and not (process.told and network.hears_augmentation):
        hearing = ", ".join(n for n, other in study.networks.items() if other.hears_augmentation) or "none is declared"
        raise ValueError(
            f"configuration key '{at}.augment' has the value {model.augment}: it needs a process of kind 'edm' and a"
            f" network that hears of augmentations; such networks: {hearing}"
        )


def fits(at: str, value: str, network: Any, dataset: str, study: "Study") -> None:
    """The network that key `at` names with `value` must be able to take the samples of the dataset."""
    shape = study.datasets[dataset].parts().shape
    try:
        network.check(shape)
    except ValueError as error:
        raise ValueError(
            f"configuration key '{at}' has the value '{value}': {error}, and the samples of '{dataset}' have shape"
            f" {shape}"
        ) from None


def clean(at: str, name: str, study: "Study") -> None:
    if study.classifiers[name].process is not None:
        raise ValueError(f"configuration key '{at}' has the value '{name}': it must be a clean classifier (no process)")


def not_exact(at: str, name: str) -> None:
    if name == EXACT:
        raise ValueError(f"the name '{EXACT}' of '{at}' is taken by the closed form of a mixture; choose another")


def discrete(study: "Study") -> list[str]:
    """Names of the processes that classifiers of noisy data, and trajectories, can be of."""
    return [name for name, process in study.processes.items() if process.discrete]
