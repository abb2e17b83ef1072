"""The plan: configuration -> recipes -> graph. Plain typed Python; every cluster job parses it again."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from guidance_study.config.facts import Facts
from guidance_study.config.study import Study
from guidance_study.plan import base, code, embedding, generating, measuring, postprocessing
from guidance_study.plan.recipes import Artefact
from guidance_study.sources.rawfiles import RawFile
from guidance_study.support.params import Params

Of = ParamSpec("Of")
Made = TypeVar("Made")


def once(make: Callable[Concatenate["Plan", Of], Made]) -> Callable[Concatenate["Plan", Of], Made]:
    """A method that makes the same only once for each plan: thousands of scales share their base model."""

    @wraps(make)
    def remembered(plan: "Plan", *of: Of.args, **named: Of.kwargs) -> Made:
        key = make, *of, *named.items()
        if key not in plan._made:
            plan._made[key] = make(plan, *of, **named)
        made: Made = plan._made[key]
        return made

    return remembered


class Plan:
    """All artefacts of a study: `targets` by name (tables, figures, pages), `artefacts` by address.

    A stage is a method, which gives an artefact of it and adds it, and all that it is made from, to the plan.
    """

    # From real data to measured generations; each is explained where it is written, one file a subject.
    dataset = once(base.dataset)
    denoiser = once(base.denoiser)
    classifier = once(base.classifier)
    samples = once(generating.samples)
    evaluated = generating.evaluated
    trajectories = once(generating.trajectories)
    features = once(embedding.features)
    statistics = embedding.statistics
    neighbours = once(embedding.neighbours)
    postprocessor = once(postprocessing.postprocessor)
    postprocessed = postprocessing.postprocessed
    real_postprocessed = postprocessing.real_postprocessed
    measures = measuring.measures
    trajectory_measures = measuring.trajectory_measures
    sources_of = measuring.sources_of
    cost = measuring.cost

    def __init__(self, study: Study):
        self.study = study
        self.artefacts: dict[str, Artefact] = {}
        self._made: dict[tuple[Any, ...], Any] = {}  # what `once` remembers
        self.asked = measuring.asked(study)
        self._outside: dict[
            str, Callable[[], str | None]
        ] = {}  # address -> says what it lacks from outside, if anything
        self.targets = {name: self.target(name) for name in study.targets}
        code.present().keep()

    @once
    def target(self, name: str) -> Artefact:
        """A table, figure or page of the configuration."""
        study, spec = self.study, self.study.targets[name]
        stage = "table" if name in study.tables else "figure" if name in study.figures else "page"
        inputs, said = spec.needs(self)
        params = {"name": name, "spec": spec.plain(), **said}
        return self.add(Artefact(stage, name, params, inputs, f"{name}: {spec.title}"))

    def add(self, artefact: Artefact, missing: Callable[[], str | None] | None = None) -> Artefact:
        """The artefact with this recipe; the first words given to a recipe, `about`, stay.

        `missing()` says what it needs from outside (raw files, weights) and lacks, with the remedy, or None.
        """
        if missing:
            self._outside[artefact.address] = missing
        return self.artefacts.setdefault(artefact.address, artefact)

    @once
    def plain(self, section: str, name: str) -> Params:
        """An entry of a section of the configuration, as recipe parameters."""
        plain: Params = getattr(self.study, section)[name].plain()
        return plain

    @once
    def facts(self, name: str) -> Facts:
        """What is known of a dataset before it is made: shape, sizes of classes, digests of its raw files."""
        facts: Facts = self.study.datasets[name].parts()
        return facts

    def at(self, address: str) -> Artefact:
        """The artefact at an address; KeyError with one sentence if the configuration does not lead to it."""
        try:
            return self.artefacts[address]
        except KeyError:
            raise KeyError(f"no table or figure of this configuration needs an artefact '{address}'") from None

    def ancestors(self, targets: list[str]) -> list[Artefact]:
        """Everything that targets (names or addresses) are made of, each once, in an order in which it can be built."""
        found: dict[str, Artefact] = {}
        for name in targets:
            for artefact in (self.targets.get(name) or self.at(name)).ancestors():
                found.setdefault(artefact.address, artefact)
        return list(found.values())

    def missing(self, artefact: Artefact) -> str | None:
        """What an artefact needs from outside (raw files, weights) and lacks, with the remedy; None if nothing."""
        outside = self._outside.get(artefact.address)
        return outside() if outside else None

    def raw_files(self) -> list[RawFile]:
        """Every file from outside that the configuration names, in use or not."""
        study = self.study
        files = [file for spec in study.datasets.values() for file in spec.files()]
        holders = [*study.models.values(), *study.classifiers.values(), *study.embeddings.values()]
        return files + [holder.weights.file for holder in holders if getattr(holder, "weights", None) is not None]
