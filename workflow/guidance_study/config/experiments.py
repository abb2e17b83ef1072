"""Experiments: what is sampled, postprocessed and measured. What is shown of them: tables/ and figures/."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from guidance_study.config.base import COUNT, Name, PositiveInt, Scales, Spec
from guidance_study.config.choices import AnyGuidance, AnySampler
from guidance_study.config.trajectories import EXACT
from guidance_study.support.params import Params
from guidance_study.support.text import shown

EVALUATOR = "evaluator"  # the space of the evaluation classifier's features


class Pool(Spec):
    """Generations on which postprocessors are trained."""

    scales: Scales = Field(description="guidance scales, an equal share of the pool each (paper: 1, 2, 3)")
    n: PositiveInt = Field(
        description="generations that a postprocessor learns from, in all (paper: 50000 on CIFAR-10)"
    )


class Evaluation(Spec):
    """Generations on which everything is measured; none of them is ever trained on."""

    renamed: ClassVar = {"blocks": "repeats", "block_size": "n"}

    scales: Scales = Field(description="guidance scales (paper: 2.25, 2.50, 2.75, unseen in training)")
    repeats: PositiveInt = Field(
        3, description="disjoint sets of generations, measured apart; 1 where the closed form judges (our guess: 3)"
    )
    n: int = Field(ge=10, le=COUNT, description="generations a scale and repeat (paper: 50000 on CIFAR-10)")
    manifold_k: int = Field(
        5, ge=1, le=9, description="neighbour whose distance is a ball's radius, for precision to coverage (our guess)"
    )
    manifold_n: int = Field(
        10000,
        ge=10,
        le=COUNT,
        description="images of a set, evenly spread, that precision to coverage look at (our guess)",
    )
    copy_quantile: float = Field(
        0.01, gt=0, lt=1, description="near copies: closer than this share of real images is to another (our guess)"
    )
    spaces: list[Name] = Field(
        [], description="names in `embeddings`, pretrained ones, in which sets are compared (paper: Inception, for FID)"
    )
    real: bool = Field(
        False, description="real data that nothing learns from through every flow, which should leave it (our guess)"
    )
    per_class: bool = Field(False, description="Fréchet distances of every class beside the overall ones (our guess)")


class Moves(Spec):
    """The share of the generations of every class and scale that a control moves; the others stay as they are."""

    by: Literal["margin", "distance", "random"] = Field(
        description="which are moved: those of the smallest margin, the farthest from real data in the arm's space, or"
        " any (our guess)"
    )
    share: float = Field(gt=0, lt=1, description="of every class and scale (our guess)")

    @property
    def name(self) -> str:
        return f"{self.by}_{shown(100 * self.share).replace('.', 'p')}"


class Arm(Spec):
    """One way of postprocessing: a neighbour space, k, and what the flow was trained on.

    `targets`, `half` and `moves` make controls of it, which have the same network, steps and number of pairs: what is
    another than with the arm itself is what the control is of.
    """

    space: Name = Field(description="name in `embeddings`: where neighbours are sought (paper, Tab. S1)")
    k: PositiveInt = Field(20, description="nearest neighbours to draw targets from (paper: 20 and 40 on CIFAR-10)")
    postprocessor: Name = Field(description="name in `postprocessors`")
    train_on: Literal["pool", "own_scale"] = Field(
        "pool",
        description="one flow for all scales of the pool, or one per scale on as many samples (paper, Sec. B)",
    )

    targets: Literal["nearest", "random", "balanced", "near_boundary", "far_boundary"] = Field(
        "nearest",
        description="real samples of the class to move to: the k nearest; k at random; near ones of which each is used"
        " about equally often; of pairs of neighbours as far away as each other the one of the smaller, or of the"
        " larger, margin (paper: nearest; the others are our guess)",
    )
    half: Literal["low", "high", "random"] | None = Field(
        None,
        description="the flow learns from the half of the pool of the smallest or largest margins, or any half, of"
        " every class and scale (paper: null, all of it; the others are our guess)",
    )
    moves: Moves | None = Field(None, description="moves a share of the generations alone (paper: null, all)")

    @property
    def name(self) -> str:
        """How tables, figures and addresses call this arm."""
        parts = [self.space, f"k{self.k}", *(["own"] if self.train_on == "own_scale" else [])]
        parts += [f"to_{self.targets}"] if self.targets != "nearest" else []
        parts += [f"from_{self.half}_half"] if self.half else []
        return "_".join([*parts, *(["moves", self.moves.name] if self.moves else [])])

    @property
    def control(self) -> bool:
        """Whether it is no way of postprocessing but a control of one."""
        return self.targets != "nearest" or self.half is not None or self.moves is not None

    @property
    def margins(self) -> bool:
        """Whether margins choose what it learns from, moves to or moves."""
        by_margin = self.moves is not None and self.moves.by == "margin"
        return by_margin or self.half in ("low", "high") or self.targets in ("near_boundary", "far_boundary")

    @property
    def settings(self) -> Params:
        """What tables and figures say of this arm; stored with what is measured of it."""
        return {"name": self.name, "control": self.control} | self.model_dump(
            mode="json", include={"space", "k", "train_on", "targets", "half", "moves"}
        )


class Experiment(Spec):
    """A guided base model, its postprocessing arms, and how they are evaluated."""

    model: Name = Field(description="name in `models`")
    guidance: AnyGuidance = Field(description="the guidance rule")
    sampler: AnySampler = Field(description="how the base model is sampled")
    pool: Pool = Field(description="generations that postprocessors learn from")
    evaluation: Evaluation = Field(description="generations that are measured")
    arms: list[Arm] = Field(description="postprocessing arms; may be empty")
    evaluator: Name | None = Field(
        None,
        description="name in `classifiers`, a clean one that feeds no neighbour space; 'exact': the mixture's"
        " posterior; null where `evaluation.spaces` judge",
    )
    judges: list[Name] = Field(
        [],
        description="names in `classifiers`, clean ones: each judges in a space of its own, beside the evaluator"
        " (our guess)",
    )
    selector: Name | None = Field(
        None,
        description="name in `classifiers`, a clean one that judges nothing: by its margins controls choose; null where"
        " none does, or where the closed form judges and chooses (our guess)",
    )

    @property
    def exact(self) -> bool:
        """Judged by the closed form.

        Such an experiment keeps the generations of all its scales in one artefact, to have few jobs; the price is that
        a new scale makes its pool, and so its flows, again.
        """
        return self.evaluator == EXACT

    @model_validator(mode="after")
    def _arms_differ(self) -> Self:
        names = [arm.name for arm in self.arms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two arms are called '{name}'; their keys but postprocessor must tell them apart")
        return self
