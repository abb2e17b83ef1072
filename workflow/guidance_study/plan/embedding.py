"""Spaces in which generations and real data are near or far: features, their statistics, nearest neighbours."""

from typing import TYPE_CHECKING

from guidance_study.plan.recipes import Artefact
from guidance_study.support.params import Params

if TYPE_CHECKING:
    from guidance_study.plan.plan import Plan

PARTS = {"train": "the training images of ", "held_out": "the held-out images of ", "samples": ""}


def features(plan: "Plan", images: Artefact, space: str, part: str) -> Artefact:
    """Images in a pretrained network's space: `part` is train or held_out of a dataset, or samples."""
    spec = plan.study.embeddings[space]
    params = {"embedding": plan.plain("embeddings", space), "part": part}
    label = f"{spec.kind}-{part}-{images.label}"
    about = f"features ({space}) of {PARTS[part]}{images.about}"
    file = spec.weights.file
    return plan.add(Artefact("features", label, params, {"images": images}, about, weights=file), file.missing)


def statistics(plan: "Plan", features: Artefact) -> Artefact:
    """Mean and covariance of features, to which Fréchet distances are taken."""
    about = f"mean and covariance of {features.about}"
    return plan.add(Artefact("statistics", features.label, {}, {"features": features}, about))


def within(
    plan: "Plan", space: str, seed: int, samples: Artefact, dataset: Artefact, at: str = ""
) -> tuple[Params, dict[str, Artefact]]:
    """An embedding as recipe parameters; as inputs its features, or the network that they are computed with.

    `at` ends the inputs' roles, where there are several spaces.
    """
    params = plan.plain("embeddings", space)
    if plan.study.embeddings[space].stored:
        found = {"samples": plan.features(samples, space, "samples")}
        found |= {"train": plan.features(dataset, space, "train")}
        return params, {f"features{at}/{part}": artefact for part, artefact in found.items()}
    if "classifier" not in params:
        return params, {}
    rest = {key: value for key, value in params.items() if key != "classifier"}
    return rest, {f"embedder{at}": plan.classifier(params["classifier"], seed)}


def neighbours(plan: "Plan", samples: Artefact, dataset: str, space: str, k: int, seed: int,
               control: tuple[str, Artefact | None] = ("nearest", None)) -> Artefact:  # fmt: skip
    """The k training samples of each generation's class that an arm moves to, in a neighbour space: the nearest.

    Those of a control are others, chosen by the margins of a classifier where it has one.
    """
    targets, selector = control
    inputs = {"samples": samples, "dataset": plan.dataset(dataset, seed)}
    embedding, needs = within(plan, space, seed, samples, inputs["dataset"])
    params = {"embedding": embedding, "k": k, "targets": targets} | ({"seed": seed} if targets == "random" else {})
    about, label = f"{k} {targets} neighbours ({space}) of {samples.about}", f"{embedding['kind']}-k{k}"
    if targets != "nearest":
        label += f"-{targets}"
    if selector is not None:
        needs["selector"] = selector
    return plan.add(Artefact("neighbours", label, params, inputs | needs, about))
