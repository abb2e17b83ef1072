"""What metrics are of, one file for images, points and trajectories: sets in their states, and the real data.

`Sets(job)` has `real`, `about`, the sizes that tables name, and yields (said, read): what is said of a set (`state`,
`arm`, `scale`, `repeat` or `run`; None where there is none), and a function that gives it, called where a metric
wants it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np

Value = TypeVar("Value")


class HasBoundary(Protocol):
    """What has a decision boundary: a classifier, or a mixture."""

    @property
    def name(self) -> str | None:
        """In the rows of what it measures."""

    def distance(self, x: "np.ndarray", labels: "np.ndarray") -> "np.ndarray":
        """Signed distances (n,) of samples (n, *shape) to the boundary of their class, positive on its side."""


class Real(ABC):
    """Real data, and what metrics compute of them once for all sets."""

    def __init__(self):
        self._known: dict[str, Any] = {}

    def once(self, name: str, compute: Callable[[], Value]) -> Value:
        """What `compute()` returns, computed the first time that `name` is asked for."""
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]

    @property
    @abstractmethod
    def judges(self) -> Sequence[HasBoundary]:
        """By whose boundaries margins are measured."""

    @abstractmethod
    def off(self, one: Any) -> "np.ndarray":
        """How far off the data each sample (n,) of a set is, in units of how the data lie around there."""


class Samples(ABC):
    """What images and points share: labels (n,), and the samples themselves as vectors."""

    labels: "np.ndarray"

    @property
    @abstractmethod
    def samples(self) -> "np.ndarray":
        """(n, *shape)."""

    def margin(self, judge: HasBoundary) -> "np.ndarray":
        """Signed distance (n,) of each sample to the boundary of its class by a judge, computed once."""
        known: dict[str | None, np.ndarray] = self.__dict__.setdefault("_margins", {})
        if judge.name not in known:
            known[judge.name] = judge.distance(self.samples, self.labels)
        return known[judge.name]

    @property
    def flat(self) -> "np.ndarray":
        """(n, D) float64."""
        return self.samples.reshape(len(self.samples), -1).astype("float64")
