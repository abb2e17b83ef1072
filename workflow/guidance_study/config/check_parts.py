"""Checks of the parts that experiments are made of: processes, models, classifiers, embeddings.

Each raises ValueError with one sentence.
"""

import math
from typing import TYPE_CHECKING, Any

from guidance_study.config.base import LEAST
from guidance_study.config.sentences import known
from guidance_study.config.training import Model
from guidance_study.config.trajectories import EXACT

if TYPE_CHECKING:
    from guidance_study.config.study import Study


MOST_OPERATIONS = 1e15  # of a network for one sample: no machine has the memory for more
RESERVED = {  # section -> names that mean something else where its names are used
    "models": (EXACT,),
    "classifiers": (EXACT, "evaluator", "none", "train", "held_out"),
    "embeddings": (EXACT, "evaluator", "none", "train", "held_out"),
    "pages": ("index", "readme"),  # files of the results folder
}


def parts(study: "Study") -> None:
    """All parts of a study, whether an experiment uses them or not."""
    for section, names in RESERVED.items():
        for name in getattr(study, section):
            if name in names:
                raise ValueError(
                    f"the name '{name}' in '{section}' is taken: it means something of its own there; choose another"
                )
    for name, dataset in study.datasets.items():
        _finite(f"datasets.{name}", dataset)
    for name, process in study.processes.items():
        process.check(f"processes.{name}")
    _models(study)
    _classifiers(study)
    for name, embedding in study.embeddings.items():
        if hasattr(embedding, "classifier"):
            at = f"embeddings.{name}.classifier"
            known(at, embedding.classifier, study.classifiers)
            clean(at, embedding.classifier, study)


def _finite(at: str, dataset: Any) -> None:
    """A mixture that is known must have numbers that can be computed with."""
    if not hasattr(dataset, "mixture"):
        return
    try:
        mixture = dataset.mixture()
        numbers = [v for part in (mixture.means, mixture.variances) for row in part for v in row]
        spread = [v for row in mixture.variances for v in row]
        usable = all(map(math.isfinite, [*numbers, *mixture.weights])) and min(spread) > LEAST
    except (OverflowError, ZeroDivisionError):
        usable = False
    if not usable:
        raise ValueError(
            f"configuration key '{at}' gives a mixture that is not finite, or of variances below {LEAST:.0e}; bring its"
            " lengths and factors nearer to 1"
        )


def _models(study: "Study") -> None:
    for name, model in study.models.items():
        at = f"models.{name}"
        known(f"{at}.dataset", model.dataset, study.datasets)
        known(f"{at}.process", model.process, study.processes)
        known(f"{at}.network", model.network, study.networks)
        fits(f"{at}.network", model.network, study.networks[model.network], model.dataset, study)
        _augmented(at, model, study)
        network, process = study.networks[model.network], study.processes[model.process]
        _groups(f"networks.{model.network}", f"model '{name}'", model, network)
        if network.learned_variance and (model.training is not None or not process.discrete):
            raise ValueError(
                f"configuration key '{at}.network' has the value '{model.network}': one that learned its variance is"
                " for weights from outside and a process of kind 'ddpm'"
            )
    for name, flow in study.postprocessors.items():
        if flow.network in study.networks and study.networks[flow.network].learned_variance:
            raise ValueError(
                f"configuration key 'postprocessors.{name}.network' has the value '{flow.network}': a flow has no"
                " variance to learn"
            )


def _groups(at: str, whose: str, part: Any, network: Any) -> None:
    """Weights from outside were trained with a number of groups that no shape tells."""
    if part.weights is not None and getattr(network, "norm_groups", 0) is None:
        raise ValueError(
            f"configuration key '{at}.norm_groups' has the value None: {whose} has weights from outside, which were"
            " trained with a number of groups; say it (guided-diffusion's: 32)"
        )


def _classifiers(study: "Study") -> None:
    for name, classifier in study.classifiers.items():
        at = f"classifiers.{name}"
        known(f"{at}.dataset", classifier.dataset, study.datasets)
        classes = study.datasets[classifier.dataset].parts().classes
        fits(f"{at}.network.kind", classifier.network.kind, classifier.network, classifier.dataset, study, classes)
        _groups(f"{at}.network", f"classifier '{name}'", classifier, classifier.network)
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


def fits(at: str, value: str, network: Any, dataset: str, study: "Study", *classes: int) -> None:
    """The network that key `at` names with `value` must be able to take the samples of the dataset.

    A classifier's is told the number of classes.
    """
    shape = study.datasets[dataset].parts().shape
    try:
        network.check(shape)
        if network.operations(shape, *classes) > MOST_OPERATIONS:
            raise ValueError(f"it takes more than {MOST_OPERATIONS:.0e} operations a sample")
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


def same_dataset(at: str, name: str, declared: dict[str, Any], model: Model) -> None:
    if declared[name].dataset != model.dataset:
        raise ValueError(
            f"configuration key '{at}' has the value '{name}': it must be trained on the model's dataset,"
            f" '{model.dataset}'"
        )
