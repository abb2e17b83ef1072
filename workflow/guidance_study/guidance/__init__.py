"""Guidance rules: one file each. A rule is started anew for each batch and returns a guided model.

One convention for the scale s everywhere: s = 1 is unguided (the conditional model, or its Bayes decomposition).
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from guidance_study.config.seams import Kind
from guidance_study.processes import Denoiser, Process
from guidance_study.processes.samplers import Guided, Sampler, Step

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws

BASE = "denoiser"  # role of the model that is guided
Classifier = Callable[["Tensor", "Tensor"], "Tensor"]  # logits (N, classes) = classifier(x, time)


@dataclass(frozen=True)
class Model:
    """A denoiser m(x, t, label), and the label that means "no class" to it; None: it has none.

    vectors: what its network is told of each class, (rows, D); such vectors (N, D) may be its label. None: not known.
    """

    denoiser: Denoiser
    null: int | None
    vectors: "Tensor | None" = None

    @property
    def no_class(self) -> int:
        """The label that means "no class". Raises ValueError for a model that has none."""
        if self.null is None:
            raise ValueError('a model without a label for "no class" has no branch without a class')
        return self.null

    def __call__(self, x: "Tensor", t: "Tensor", label: "Tensor | None", step: Step | None = None) -> "Tensor":
        """The denoiser itself; so an unguided model is a guided one that does not look at the step."""
        return self.denoiser(x, t, label)

    def both(self, x: "Tensor", t: "Tensor", label: "Tensor") -> "tuple[Tensor, Tensor]":
        """m(x, t, c) and m(x, t), both in one call. ValueError: as of `no_class`."""
        return self.pair(x, t, label, label.new_full(label.shape, self.no_class))

    def pair(self, x: "Tensor", t: "Tensor", label: "Tensor", other: "Tensor") -> "tuple[Tensor, Tensor]":
        """m(x, t, label) and m(x, t, other), both in one call."""
        import torch

        mine, theirs = self(torch.cat([x, x]), torch.cat([t, t]), torch.cat([label, other])).chunk(2)
        return mine, theirs

    def mixed(self, x: "Tensor", t: "Tensor", label: "Tensor", scale: float, other: "Tensor | None" = None) -> "Tensor":
        """Eq. (8): m(x, t) + s (m(x, t, c) - m(x, t)), or away from `other` in the place of "no class".

        ValueError: as of `no_class`, where no other is given.
        """
        mine, theirs = self.both(x, t, label) if other is None else self.pair(x, t, label, other)
        return theirs + scale * (mine - theirs)


def seen(models: Mapping[str, Model], sampler: Sampler, process: Process) -> dict[str, Model]:
    """The models by role as guidance is to see them: their denoisers as the sampler takes them."""
    return {role: replace(m, denoiser=sampler.denoiser(process, m.denoiser)) for role, m in models.items()}


@dataclass(frozen=True)
class Batch:
    """What a rule is started with: the samples draws.first..draws.last-1, which are generated together.

    `models` and `classifiers` are by role: models["denoiser"] is the one to guide, the others are those that the
    rule's `roles` name. `draws` gives each sample its own, whatever the batch; name what is drawn after the rule.
    """

    scale: float
    process: Process
    models: Mapping[str, Model]
    draws: "Draws"
    classes: int
    classifiers: Mapping[str, Classifier] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """The model to guide."""
        return self.models[BASE]


class Guidance(Kind):
    """A guidance rule: the `guidance` of an experiment or of a run of trajectories.

    What it needs of models, scales and samplers stands here, and the plan holds it. Where that depends on a rule's
    values, a property takes the place of the class's attribute.
    """

    short: ClassVar[str]  # in addresses
    title: ClassVar[str]  # in tables and figures
    conditional: ClassVar[bool]  # whether it needs a conditional (class-dropped) base model or an unconditional one
    class_free: ClassVar[bool] = True  # whether a conditional base model must know "no class" too
    unguided_at_1: ClassVar[bool] = True  # whether at scale 1 it is the conditional model, and asks for nothing else
    largest: ClassVar[float] = math.inf  # scale that it has a meaning for
    vectors: ClassVar[bool] = False  # whether it asks for its model's vectors of classes, which closed forms lack
    samplers: ClassVar[tuple[str, ...]] = ()  # kinds of the samplers that it is for; none: any
    fixed_steps: ClassVar[bool] = False  # whether it is for samplers of fixed steps, not for solvers that choose them
    one_evaluation: ClassVar[bool] = False  # whether for those that evaluate it once in each of their fixed steps
    roles: ClassVar[Mapping[str, Literal["models", "classifiers"]]] = {}  # its keys that name further parts of a study

    def parts(self) -> dict[str, str]:
        """The names of the further parts by role, as the configuration has them."""
        return {role: name for role in self.roles if (name := getattr(self, role)) is not None}

    def unfit(self, sampler: Sampler) -> tuple[str, str] | None:
        """The key of a sampler whose value the rule is not for, and what it needs there; None: there is none."""
        if self.samplers and sampler.kind not in self.samplers:
            return "kind", " or ".join(f"'{kind}'" for kind in self.samplers)
        if self.one_evaluation and not sampler.one_evaluation:
            return "kind", "a sampler of fixed steps, one evaluation each"
        if self.fixed_steps and sampler.together is not None:
            return "kind", "a sampler of fixed steps"
        return None

    @abstractmethod
    def start(self, batch: Batch) -> Guided:
        """The guided model of a batch, m(x, t, label, step). What it must remember of its samples it may keep."""
