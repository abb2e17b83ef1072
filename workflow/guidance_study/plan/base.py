"""What everything begins with: datasets, base models, classifiers."""

from typing import TYPE_CHECKING

from guidance_study.config.training import Classifier, Model
from guidance_study.plan.recipes import Artefact
from guidance_study.sources.rawfiles import RawFile

if TYPE_CHECKING:
    from guidance_study.plan.plan import Plan


REPLICA = 10**6  # between the seeds of a training's replicas


def dataset(plan: "Plan", name: str, seed: int) -> Artefact:
    """Real data as arrays, known by the digests of its raw files; drawn and split anew for every training seed."""
    spec = plan.study.datasets[name]
    facts = plan.facts(name)
    seed = spec.seed if spec.seed is not None else seed if spec.random() else 0
    params = {**plan.plain("datasets", name), "seed": seed, "raw": facts.raw}
    label, about = spec.kind, f"dataset {name}"
    if spec.random():
        label, about = f"{label}-s{seed}", f"{about}, seed {seed}"
    return plan.add(Artefact("dataset", label, params, {}, about, facts), spec.missing)


def denoiser(plan: "Plan", name: str, seed: int) -> Artefact:
    """A base model: trained, or with weights from outside."""
    model = plan.study.models[name]
    data = plan.facts(model.dataset)
    dropout = model.dropout if model.conditional else None
    network = plan.plain("networks", model.network)
    params = {
        "process": plan.plain("processes", model.process),
        "network": network,
        "shape": list(data.shape),
        "class_rows": _rows(plan, model, data.classes),
        "class_dropout": dropout,
        "flip": model.flip,
        "augment": model.augment,
        "training": model.training.plain() if model.training else None,
        "weights": model.weights.plain() if model.weights else None,
        # Weights from outside are the same for every seed; replicas draw from seeds of their own.
        "seed": seed + REPLICA * model.replica if model.training else 0,
    }
    kind = "conditional" if model.conditional else "unconditional"
    label = f"{network['kind']}-{kind}-" + _which(model, seed)
    inputs = {"dataset": plan.dataset(model.dataset, seed)} if model.training else {}
    about, file = f"model {name}: {_made(model, seed)}", _file(model)
    return plan.add(Artefact("denoiser", label, params, inputs, about, weights=file), file.missing if file else None)


def _which(part: Model | Classifier, seed: int) -> str:
    return f"s{seed}" if part.training else "outside"


def _made(part: Model | Classifier, seed: int) -> str:
    return f"trained for {part.training.steps} steps, seed {seed}" if part.training else "weights from outside"


def _file(part: Model | Classifier) -> RawFile | None:
    return part.weights.file if part.weights else None


def _rows(plan: "Plan", model: Model, classes: int) -> int:
    """Class rows of a network: one more for "no class" where it may be asked for."""
    if not model.conditional:
        return 0
    return classes + int(plan.study.networks[model.network].null_rows(model.dropout))


def classifier(plan: "Plan", name: str, seed: int) -> Artefact:
    """A classifier: noisy for guidance, clean for features and evaluation; trained, or with weights from outside."""
    spec = plan.study.classifiers[name]
    data = plan.facts(spec.dataset)
    inputs = {"dataset": plan.dataset(spec.dataset, seed)} if spec.training else {}
    seed = 0 if not spec.training else seed if spec.seed is None else spec.seed
    params = {
        "process": plan.plain("processes", spec.process) if spec.process else None,
        "part": spec.part,
        "network": spec.network.plain(),
        "shape": list(data.shape),
        "classes": data.classes,
        "training": spec.training.plain() if spec.training else None,
        "weights": spec.weights.plain() if spec.weights else None,
        "seed": seed,
    }
    label = f"{spec.network.kind}-{'noisy' if spec.process else 'clean'}-" + _which(spec, seed)
    about, file = f"classifier {name}: {_made(spec, seed)}", _file(spec)
    return plan.add(Artefact("classifier", label, params, inputs, about, weights=file), file.missing if file else None)
