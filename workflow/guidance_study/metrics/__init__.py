"""Metrics: one file each, or one for a few numbers that are computed together. Plain floats out.

What a metric is: of what, its columns and their meaning in words, and how it is computed. Bases, by what a metric
computes: `ImageMetric` from two sets of features, `PointMetric` a number a point, `ClassMetric` a number a class,
`TrajectoryMetric` a number of trajectories; `Metric` anything. A field of a metric, beside its kind, is filled with the
value of that name in an experiment's `evaluation` or in a table of trajectories, and is part of the recipe. Files that
define no kind help the others. The configuration reads these files too: `oracle` and `sets`, which are heavy, are
packages.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from guidance_study.config import seams
from guidance_study.config.choices import Late

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Images, RealImages, Seen
    from guidance_study.metrics.sets.points import Points, RealPoints
    from guidance_study.metrics.sets.trajectories import Trajectories

SETS = ("real", "before", "after", "retrieval", None)  # states that a metric is of unless it says otherwise


@dataclass(frozen=True)
class Column:
    """A number by its name, and how it is shown: head of its column, digits, and what it is multiplied with."""

    name: str
    head: str
    digits: int = 3
    factor: float = 1


@dataclass(frozen=True)
class Row:
    """A measured number: of a space and a part of the real data, or of a class; None is all, or none."""

    metric: str
    value: float
    space: str | None = None
    reference: str | None = None
    label: int | None = None


class Metric(seams.Kind):
    """Numbers of a set that are computed together."""

    of: ClassVar[tuple[str, ...]]  # images, points, trajectories
    columns: ClassVar[tuple[Column, ...]]  # the numbers; configurations call them by name
    meaning: ClassVar[str] = ""  # a sentence below tables; its {names} are filled with the metric's fields
    states: ClassVar[tuple[str | None, ...]] = SETS
    references: ClassVar[tuple[str, ...]] = ()  # parts of the real data that images are compared with
    judged: ClassVar[tuple[str, ...]] = ()  # columns of images that every judge has a number of

    @classmethod
    def called(cls) -> str:
        """Its kind."""
        return str(get_args(cls.model_fields["kind"].annotation)[0])

    @classmethod
    def seen_in(cls, column: str, judges: list[str], spaces: list[str]) -> list[str]:
        """The `space` of the rows of a column of images, out of judges and pretrained spaces; none: it has none."""
        return judges if column in cls.judged else []

    @classmethod
    def recipe(cls, given: dict) -> dict:
        """What a recipe says of this metric: kind, and its fields out of `given`."""
        fields = {name: given[name] for name in cls.model_fields if name in given}
        return cls.model_validate({**fields, "kind": cls.called()}).plain()

    @staticmethod
    def of_recipe(recipe: dict) -> Metric:
        """The metric that a recipe speaks of."""
        return seams.parse("metrics", recipe)

    @abstractmethod
    def measure(self, one: Any, real: Any) -> Iterator[Row]:
        """The numbers of one set against the real data."""

    def _named(self, values: float | dict[str, float]) -> dict[str, float]:
        """Numbers by column; a single one belongs to the only column."""
        if isinstance(values, dict):
            return {name: float(value) for name, value in values.items()}
        (column,) = self.columns
        return {column.name: float(values)}


class ImageMetric(Metric):
    """Of images: features with those of real images, in each space and for each part of the real data."""

    of: ClassVar[tuple[str, ...]] = ("images",)
    references: ClassVar[tuple[str, ...]] = ("train", "held_out")

    @classmethod
    def seen_in(cls, column: str, judges: list[str], spaces: list[str]) -> list[str]:
        """Every one."""
        return [*judges, *spaces]

    @abstractmethod
    def compare(self, features: np.ndarray, seen: Seen, part: str) -> float | dict[str, float]:
        """A number, or {column: number}, of features (n, D) and `seen.real[part]` (N, D); {} where there is none."""

    def measure(self, one: Images, real: RealImages) -> Iterator[Row]:
        """A row for each space, part of the real data and column."""
        for seen in real.spaces:
            for part in one.references:
                values = self._named(self.compare(one.features[seen.name], seen, part))
                yield from (Row(name, value, seen.name, part) for name, value in values.items())


class PointMetric(Metric):
    """Of points whose distribution is known: from a number a point, of which the column shows the mean."""

    of: ClassVar[tuple[str, ...]] = ("points",)

    @abstractmethod
    def each(self, one: Points, real: RealPoints) -> np.ndarray:
        """A number, or a row of them, for each point: (n, ...)."""

    def summary(self, values: np.ndarray) -> float | dict[str, float]:
        """The numbers of points with these values; unless a metric says otherwise, their mean."""
        return values.mean()

    def measure(self, one: Points, real: RealPoints) -> Iterator[Row]:
        """For all classes, and for each."""
        values = self.each(one, real)
        for label in (None, *range(real.classes)):
            mine = values if label is None else values[one.labels == label]
            found = self._named(self.summary(mine))
            yield from (Row(name, value, label=label) for name, value in found.items())


class ClassMetric(Metric):
    """Of points whose distribution is known, class by class; the number for all classes is the mean."""

    of: ClassVar[tuple[str, ...]] = ("points",)

    @abstractmethod
    def of_class(self, x: np.ndarray, real: RealPoints, label: int) -> float:
        """A number of the points (n, d) of a class, against the real ones `real.of_class(label)`."""

    def measure(self, one: Points, real: RealPoints) -> Iterator[Row]:
        """For all classes, and for each."""
        import numpy as np

        (column,) = self.columns
        found = [float(self.of_class(one.x[one.labels == label], real, label)) for label in range(real.classes)]
        yield Row(column.name, float(np.mean(found)))
        yield from (Row(column.name, value, label=label) for label, value in enumerate(found))


class TrajectoryMetric(Metric):
    """Of trajectories: one number for all classes."""

    of: ClassVar[tuple[str, ...]] = ("trajectories",)

    @abstractmethod
    def of_trajectories(self, one: Trajectories) -> float | None:
        """A number of `one.trajectories` (frames, n, d); None where there is none."""

    def measure(self, one: Trajectories, real: RealPoints) -> Iterator[Row]:
        """One row, for all classes."""
        (column,) = self.columns
        if (value := self.of_trajectories(one)) is not None:
            yield Row(column.name, float(value))


def metrics_of(subject: str) -> dict[str, type[Metric]]:
    """Name of a column -> the metric that has it, for one subject; ImportError where two have it."""
    found: dict[str, type[Metric]] = {}
    for metric in seams.kinds("metrics").values():
        for column in metric.columns if subject in metric.of else ():
            if column.name in found:
                both = f"{found[column.name].__name__} and {metric.__name__}"
                raise ImportError(f"classes {both} both have a column '{column.name}' of {subject}; rename one of them")
            found[column.name] = metric
    return found


def _names(subject: str) -> Any:
    return Literal[tuple(metrics_of(subject))]


# Types of configuration values that are the name of a metric's column.
ImageMetricName = Annotated[str, Late(partial(_names, "images"))]
PointMetricName = Annotated[str, Late(partial(_names, "points"))]
TrajectoryMetricName = Annotated[str, Late(partial(_names, "trajectories"))]


def columns(subject: str) -> dict[str, Column]:
    """How the numbers of a subject are shown, by name."""
    return {column.name: column for metric in set(metrics_of(subject).values()) for column in metric.columns}


def meanings(subject: str, shown: list[str], recipes: list[dict]) -> list[str]:
    """The sentences below a table that shows these columns, measured by metrics of these recipes."""
    fields = {recipe["kind"]: recipe for recipe in recipes}
    metrics = dict.fromkeys(metrics_of(subject)[name] for name in shown)
    return [metric.meaning.format(**fields[metric.called()]) for metric in metrics if metric.meaning]
