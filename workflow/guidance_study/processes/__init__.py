"""Noise processes: one file each. The Spec of a kind is the process itself; what it computes imports torch when called.

A denoiser is m(x, t, label): x (N, *shape), t (N,) the process's own time, label (N,) int64 or None. How it is sampled
stands in `samplers`, one file a kind.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from guidance_study.config.seams import Kind
from guidance_study.support.params import Params

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Denoiser = Callable[..., "Tensor"]


class Process(Kind):
    """How data become noise, and what a network learns of it: an entry of `processes`."""

    sampler: ClassVar[str]  # kind of its usual sampler
    discrete: ClassVar[bool] = (
        False  # eps(x, t, label) at whole steps t of `abar`, as noisy classifiers and trajectories need
    )
    told: ClassVar[bool] = False  # its loss hands on what a network is told of augmentations

    def check(self, at: str) -> None:
        """Raise ValueError, one sentence, if the values of the configuration key `at` do not fit one another."""

    def usual_sampler(self) -> Params:
        """The sampler of a model that is loaded by itself, where no experiment names one."""
        return {"kind": self.sampler}

    @abstractmethod
    def times(self, draw: "np.random.Generator", batch: int) -> "np.ndarray":
        """Times to train at, (batch,)."""

    @abstractmethod
    def denoiser(self, network: Callable[..., "Tensor"]) -> Denoiser:
        """What a network(x, time, label) means as m(x, t, label), which guidance can wrap."""

    @abstractmethod
    def loss(self, m: Denoiser, x0: "Tensor", label: "Tensor | None", t: "Tensor", noise: "Tensor") -> "Tensor":
        """The training loss of m for data x0 (N, *shape) at times t (N,) with noise from N(0, I); a scalar."""

    @abstractmethod
    def sigma(self, t: float) -> float:
        """The noise level at a time: standard deviation of the noise in x over the data's factor in it; 0 for data."""

    def share(self, t: float) -> float | None:
        """How far a time lies from the data, 0, to the noise, 1, in the process's own time; None: it has no end."""
        return None

    @abstractmethod
    def data(self, m: "Tensor", x: "Tensor", t: "Tensor") -> "Tensor":
        """The data x_0 (N, *shape) that a denoiser's value m at (x, t) stands for; affine in m."""

    @abstractmethod
    def slope(self, x: "Tensor", t: "Tensor") -> "Tensor":
        """d x_0 / d m of `data`, shaped to multiply x."""
