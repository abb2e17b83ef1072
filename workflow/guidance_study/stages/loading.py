"""`guidance_study.load`: a trained network of a store, or an exported file of weights, in memory and ready to use."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from guidance_study.config import seams
from guidance_study.config.base import Spec
from guidance_study.config.experiments import Experiment
from guidance_study.config.loading import load as load_study
from guidance_study.config.stages import STAGES
from guidance_study.config.training import Solver
from guidance_study.datasets import spec_of
from guidance_study.execution.job import Input
from guidance_study.guidance import BASE as GUIDED
from guidance_study.guidance import Batch, Guidance
from guidance_study.guidance import Model as Denoiser
from guidance_study.networks.models import batches, exported, load_classifier, load_flow, load_network, set_up
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import Artefact
from guidance_study.processes import Process
from guidance_study.processes.rectified_flow import velocity
from guidance_study.processes.samplers import Guided, Sampler
from guidance_study.processes.samplers.dopri5 import solve
from guidance_study.stages.samples import Generator, classes_of, fitted, model_of
from guidance_study.store.artefacts import RESULTS, Store
from guidance_study.support.errors import StudyError
from guidance_study.support.randomness import Draws
from guidance_study.support.settings import BASE
from guidance_study.support.text import shown

TRAINING = tuple(name for name, stage in STAGES.items() if stage.trains)
Labels = int | Sequence[int] | Tensor | None  # the class of every sample, or of each; None: classes in turn


@dataclass(frozen=True)
class Classifier:
    """A classifier: logits (N, classes) = network(x, time), of a clean one network(x); process: whose noise it sees."""

    params: dict
    dataset: Spec | None
    network: nn.Module
    process: Process | None


@dataclass(frozen=True)
class Flow:
    """A postprocessing flow (Eq. 9): a network, the size of its output, and how its ODE is solved."""

    params: dict
    dataset: Spec | None
    network: nn.Module
    output_scale: float
    solver: dict

    def postprocess(self, samples: Tensor, label: Labels = None) -> Tensor:
        """Generations (n, *shape) of these classes at the end of the flow, (n, *shape) float32 on the CPU."""
        device = next(self.network.parameters()).device
        labels = _labels(len(samples), label, self.params["class_rows"])
        field, moved = velocity(self.network, self.output_scale), []
        tolerances = self.solver["rtol"], self.solver["atol"]
        for a, b in batches(len(samples), self.solver["block"]):
            with torch.no_grad():
                moved.append(solve(field, samples[a:b].to(device), labels[a:b].to(device), *tolerances, a).end.cpu())
        return torch.cat(moved)


class _Unguided(Guidance):
    """The base model itself, as a rule; one that takes no class is given none."""

    kind: Literal["unguided"] = "unguided"
    told: bool  # whether the base model takes a class

    def start(self, batch: Batch) -> Guided:
        if batch.scale != 1:
            found = f"{batch.scale:g}"
            raise StudyError(f"this base model has no guidance, so its scale is 1, not {found}; load an experiment")
        return batch.model if self.told else lambda x, t, label, step: batch.model(x, t, None)


@dataclass(frozen=True)
class Model:
    """A base model with its process, sampler and guidance; `dataclasses.replace` puts others in their place.

    guidance: None of a base model alone, unless it was trained with its class dropped: then it is classifier-free.
    dataset: the Spec of what it was trained on, None where its weights came from outside.
    parts: the further models and classifiers of its guidance, by role.
    """

    params: dict
    dataset: Spec | None
    network: nn.Module
    process: Process
    sampler: Sampler
    guidance: Guidance | None = None
    parts: Mapping[str, "Model | Classifier"] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """Classes that can be asked for, 0 where there are none."""
        for part in self.parts.values():
            if isinstance(part, Classifier):
                return part.params["classes"]
        return classes_of(self.params)

    def sample(self, n: int, *, scale: float = 1.0, label: Labels = None, seed: int = 0) -> Tensor:
        """n generations at a guidance scale, (n, *shape) float32 on the CPU; scale 1 is unguided.

        `seed` keys the noise, which is the same for every scale; the study's own of that seed are the ones that it
        evaluates. StudyError: a label that is no class, a scale that nothing guides to, samples that are not finite.
        """
        labels, shape, block = _labels(n, label, self.classes), tuple(self.params["shape"]), self.sampler.together
        models = {GUIDED: self} | {role: part for role, part in self.parts.items() if isinstance(part, Model)}
        generator = Generator(
            self.process, self.sampler, self.guidance or _Unguided(told=self.params["class_rows"] > 0),
            {role: part.denoiser() for role, part in models.items()},
            {role: part.network for role, part in self.parts.items() if isinstance(part, Classifier)},
            shape, self.classes,
        )  # fmt: skip
        device = next(self.network.parameters()).device

        def some(a: int, b: int) -> Tensor:
            return generator.generate(Draws(seed, "evaluation", a, b), scale, device, labels[a:b])[0].cpu()

        return torch.cat([fitted(some, a, b, scale, block) for a, b in batches(n, block)])

    def denoiser(self) -> Denoiser:
        """The model m(x, t, label) as a guidance rule sees it."""
        return model_of(self.process, self.network, self.params)


def _labels(n: int, label: Labels, classes: int) -> Tensor:
    """The classes (n,) int64 that are meant; all 0 where there are no classes."""
    if n < 1:
        raise StudyError(f"{n} samples are none; ask for 1 or more")
    if label is None:
        return torch.arange(n) % max(classes, 1)
    labels = torch.as_tensor(label, dtype=torch.int64)
    if labels.ndim and labels.shape != (n,):
        raise StudyError(f"{n} samples have a label each or one for all, not labels of shape {tuple(labels.shape)}")
    labels = labels.expand(n)
    if not bool(((labels >= 0) & (labels < classes)).all()):
        allowed = f"classes are 0 to {classes - 1}" if classes else "this model takes no class"
        raise StudyError(f"label {label} is no class: {allowed}")
    return labels


def load(what: str | Path, *, config: str | Path = BASE, overlays: Iterable[str | Path] = (), seed: int = 0,
         results: str | Path = RESULTS) -> Model | Classifier | Flow:  # fmt: skip
    """A trained network, ready to use, from a store (its digests are verified) or from an exported file.

    `what`: an experiment (guided), `experiment/arm` or, of an arm with a flow a scale, `experiment/arm/scale` (its
    flow), a model or a classifier, sought in this order in the configuration `config` with `overlays`, at a training
    `seed`; an address, `denoiser/unet-...`, below `results` or below a folder before it; or a file of weights, whose
    metadata say what it is. Computes like a job: on the run's device, on a CPU in OMP_NUM_THREADS threads (1 without).
    StudyError: one sentence, where it is not made yet with the command that makes it.
    """
    set_up()
    path, files = Path(what), [Path(config), *map(Path, overlays)]
    if path.suffix == ".safetensors":
        folder = path.resolve().parent
        if folder.parent.name not in TRAINING or not (folder / "manifest.json").is_file():
            return _of_file(path)
        path = folder
    if len(path.parts) > 1 and path.parts[-2] in TRAINING:
        root = Path(*path.parts[:-2]) if len(path.parts) > 2 else Path(results)
        address = "/".join(path.parts[-2:])
        return _of_store(Store(root), address, f"'{address}'", _command(address, root, files))
    study = load_study(files)
    if seed not in study.seeds:
        trained = ", ".join(map(str, study.seeds))
        raise StudyError(f"seed {seed} is not trained: the configuration's are {trained}")
    return _Named(Plan(study), seed, Path(results), files).load(str(what))


def _of_file(path: Path) -> Model | Classifier | Flow:
    source = exported(path)
    try:
        dataset = source.recipe["dataset"]
        return _assembled(source, dataset and spec_of(Input(path, {"params": dataset})))
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        why = " ".join(str(error).split())[:200]
        raise StudyError(f"'{path}' does not fit the network that it says it is of: {why}") from None


def _of_store(store: Store, address: str, about: str, command: str) -> Model | Classifier | Flow:
    if (manifest := store.manifest(address)) is None:
        raise StudyError(f"{about} is not made yet in '{store.root}'; make it: {command}")
    source = Input(store.open(address), manifest["recipe"])
    inputs = source.recipe["inputs"]
    made = store.manifest(inputs["dataset"]) if "dataset" in inputs else None
    return _assembled(source, spec_of(Input(store.root, made["recipe"])) if made else None)


def _command(address: str, results: Path, files: list[Path]) -> str:
    """What makes an artefact, in the project's folder; options only where they are not the defaults."""
    config, *overlays = (str(file.resolve()) for file in files)
    options = [] if results.resolve() == BASE.parent / RESULTS else ["--results", str(results.resolve())]
    options += [] if config == str(BASE) else ["--config", config]
    options += ["--configfile", *overlays] if overlays else []
    return shlex.join(["python", "-m", "guidance_study", "run", address, *options])


def _assembled(source: Input, dataset: Spec | None) -> Model | Classifier | Flow:
    params, stage = source.params, source.recipe["stage"]
    process = seams.parse("processes", params["process"]) if params.get("process") else None
    if stage == "classifier":
        return Classifier(params, dataset, load_classifier(source), process)
    if stage == "postprocessor":
        return Flow(params, dataset, *load_flow(source), Solver().plain())
    assert process is not None  # every base model has one
    sampler = seams.parse("processes.samplers", process.usual_sampler())
    free = seams.parse("guidance", {"kind": "classifier_free"}) if params["class_dropout"] else None
    return Model(params, dataset, load_network(source), process, sampler, free)


@dataclass(frozen=True)
class _Named:
    """Names of a configuration, at a training seed, in a store."""

    plan: Plan
    seed: int
    results: Path
    files: list[Path]

    def load(self, what: str) -> Model | Classifier | Flow:
        """What `load` says of experiments, arms, models and classifiers."""
        study, (name, *rest) = self.plan.study, what.split("/")
        if name in study.experiments:
            return self._flow(name, *rest) if rest else self._guided(study.experiments[name])
        if name in study.models and not rest:
            return self._made(lambda: self.plan.denoiser(name, self.seed))
        if name in study.classifiers and not rest:
            return self._made(lambda: self.plan.classifier(name, self.seed))
        names = ", ".join([*study.experiments, *study.models, *study.classifiers])
        raise StudyError(f"'{what}' is no address, and no experiment, model or classifier; there are {names}")

    def _guided(self, experiment: Experiment) -> Model:
        model = self._made(lambda: self.plan.denoiser(experiment.model, self.seed))
        guidance, parts = experiment.guidance, {}
        for role, name in guidance.parts().items():
            planned = self.plan.denoiser if guidance.roles[role] == "models" else self.plan.classifier
            parts[role] = self._made(partial(planned, name, self.seed))
        return replace(model, sampler=experiment.sampler, guidance=guidance, parts=parts)

    def _flow(self, name: str, arm_name: str = "", scale: str = "", *_) -> Flow:
        experiment = self.plan.study.experiments[name]
        arms = {arm.name: arm for arm in experiment.arms}
        if arm_name not in arms:
            raise StudyError(f"'{name}' has no arm '{arm_name}'; its arms are {', '.join(arms) or 'none'}")
        arm, scales = arms[arm_name], {shown(value): value for value in experiment.evaluation.scales}
        if arm.train_on == "own_scale" and scale not in scales:
            flows = ", ".join(f"{name}/{arm_name}/{scale}" for scale in scales)
            raise StudyError(f"'{name}/{arm_name}' has a flow for each scale; name one of {flows}")
        at = scales.get(scale, experiment.evaluation.scales[0])  # of a flow for all scales, any is the one
        flow = self._made(lambda: self.plan.postprocessor(name, arm, at, self.seed))
        return replace(flow, solver=self.plan.study.postprocessors[arm.postprocessor].solver.plain())

    def _made(self, planned: Callable[[], Artefact]) -> Any:
        needed = set(self.plan.artefacts)
        artefact = planned()
        command = _command(artefact.address, self.results, self.files)
        if artefact.address not in needed:
            command = "declare a table or a figure that needs it, and make that"
        return _of_store(Store(self.results), artefact.address, artefact.about, command)
