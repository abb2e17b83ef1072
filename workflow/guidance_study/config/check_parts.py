"""Checks of the parts that experiments are made of: processes, models, classifiers, embeddings.

Each raises ValueError with one sentence.
"""

from guidance_study.config.paths import EXACT
from guidance_study.config.sentences import known


def parts(study) -> None:
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


def _models(study) -> None:
    for name, model in study.models.items():
        at = f"models.{name}"
        not_exact(at, name)
        known(f"{at}.dataset", model.dataset, study.datasets)
        known(f"{at}.process", model.process, study.processes)
        known(f"{at}.network", model.network, study.networks)
        fits(f"{at}.network", model.network, model.dataset, study)
        _augmented(at, model, study)


def _classifiers(study) -> None:
    for name, classifier in study.classifiers.items():
        at = f"classifiers.{name}"
        not_exact(at, name)
        known(f"{at}.dataset", classifier.dataset, study.datasets)
        shape = study.datasets[classifier.dataset].facts().shape
        if classifier.network.kind == "cnn" and len(shape) != 3:
            raise ValueError(
                f"configuration key '{at}.network.kind' has the value 'cnn': it takes images, and those of"
                f" '{classifier.dataset}' have shape {shape}"
            )
        if classifier.process is not None:
            known(f"{at}.process", classifier.process, discrete(study))


def _augmented(at: str, model, study) -> None:
    """Mirroring and moving is for images; a network that is told of it must be one that listens."""
    images = len(study.datasets[model.dataset].facts().shape) == 3
    if (model.flip or model.augment) and not images:
        key = "flip" if model.flip else "augment"
        raise ValueError(f"configuration key '{at}.{key}' is set: only images can be moved, not '{model.dataset}'")
    network, process = study.networks[model.network], study.processes[model.process]
    if model.augment and (not process.told or not getattr(network, "augment_dim", 0)):
        raise ValueError(
            f"configuration key '{at}.augment' has the value {model.augment}: it needs a process of kind 'edm' and a"
            " network of kind 'song_unet' with augment_dim 9"
        )


def fits(at: str, name: str, dataset: str, study) -> None:
    """A UNet needs images whose sides its levels halve evenly, and channels that its heads divide."""
    network, shape = study.networks[name], study.datasets[dataset].facts().shape
    if network.kind not in ("unet", "song_unet"):
        return
    factor = 2 ** (len(network.channel_mult) - 1)
    if len(shape) != 3 or shape[1] % factor or shape[2] % factor:
        raise ValueError(
            f"configuration key '{at}' has the value '{name}': a UNet of {len(network.channel_mult)} levels needs"
            f" images with sides in multiples of {factor}, and those of '{dataset}' are {shape}"
        )
    if network.kind == "song_unet":
        return
    size = network.num_head_channels
    for mult in network.channel_mult:
        channels = mult * network.model_channels
        if channels % (network.num_heads if size == -1 else size):
            raise ValueError(
                f"configuration key 'networks.{name}' has {channels} channels at a level: they must divide evenly among"
                f" num_heads {network.num_heads} or num_head_channels {size}"
            )


def clean(at: str, name: str, study) -> None:
    if study.classifiers[name].process is not None:
        raise ValueError(f"configuration key '{at}' has the value '{name}': it must be a clean classifier (no process)")


def not_exact(at: str, name: str) -> None:
    if name == EXACT:
        raise ValueError(f"the name '{EXACT}' of '{at}' is taken by the closed form of a mixture; choose another")


def discrete(study) -> list[str]:
    """Names of the processes that classifiers of noisy data, and paths, can be of."""
    return [name for name, process in study.processes.items() if process.discrete]
