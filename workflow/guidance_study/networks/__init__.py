"""Networks: one file each, whose class is either a `Network` or a `ClassifierNetwork`.

The plan reads these files, so torch and the modules in `modules/` are imported where a network is built. `models/`
loads trained networks and runs them in batches.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from guidance_study.config.seams import Kind
from guidance_study.support.params import Params

if TYPE_CHECKING:
    from torch import Tensor, nn


class _Built(Kind):
    """What both families share."""

    def options(self) -> Params:
        """Its fields but `kind`, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "kind"}

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError, which says what it needs instead, if it cannot take samples of this shape."""

    def adapted(self, state: "dict[str, Tensor]") -> "dict[str, Tensor]":
        """A public checkpoint's state dict with the names of `build`'s network. ValueError: it is of another one."""
        return state


class Network(_Built):
    """A denoiser or velocity network: an entry of `networks:`."""

    null_row: ClassVar[bool] = False  # whether its last class row means "no class" in every model

    @property
    def hears_augmentation(self) -> bool:
        """Whether forward takes a fourth argument, `augment`."""
        return False

    @property
    def learned_variance(self) -> bool:
        """Whether twice the channels come out, the second half the variance of a DDPM (Nichol & Dhariwal 2021)."""
        return False

    def null_rows(self, class_dropout: float) -> int:
        """1 where a conditional model has a last class row for "no class", 0 where its rows are the classes."""
        return int(class_dropout > 0 or self.null_row)

    @abstractmethod
    def build(self, shape: tuple[int, ...], rows: int) -> "nn.Module":
        """The network for samples of this shape, its weights drawn from torch's global generator.

        rows: class-embedding rows, a row for "no class" included where training drops the class; 0: takes no class.
        Its `forward(x, time, label)` takes x (N, *shape) float32, time (N,) float32 in [0, 1000] (under EDM: c_noise)
        and label (N,) int64 in [0, rows), None exactly when rows is 0, and returns (N, *shape), with twice
        the channels where `learned_variance`. Where it has `class_vectors()`, (rows, D), vectors (N, D) float may be
        its label, as condition annealing needs.
        """

    @abstractmethod
    def operations(self, shape: tuple[int, ...]) -> float:
        """About how many floating-point operations a forward pass takes for one sample: two a multiplication."""


class ClassifierNetwork(_Built):
    """A classifier's network: the `network` of an entry of `classifiers:`."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], classes: int, noisy: bool) -> "nn.Module":
        """The network for samples of this shape, its weights drawn from torch's global generator.

        noisy: whether it classifies x_t and so needs `time` (N,) float32 in [0, 1000]; a clean one must not get it.
        `forward(x, time=None)` returns logits (N, classes); `features(x, time=None)` what the last layer, `head`,
        sees, (N, F).
        """

    @abstractmethod
    def operations(self, shape: tuple[int, ...], classes: int) -> float:
        """About how many floating-point operations a forward pass takes for one sample: two a multiplication."""
