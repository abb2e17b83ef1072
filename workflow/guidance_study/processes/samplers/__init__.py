"""Samplers: one file each. A guided model is just another model: m(x, t, label), and the step that asks for it."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from guidance_study.config.seams import Kind, parse
from guidance_study.processes import Denoiser, Process
from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    from torch import Tensor

    from guidance_study.support.randomness import Draws

Guided = Callable[["Tensor", "Tensor", "Tensor | None", "Step"], "Tensor"]  # m(x, t, label, step)


@dataclass(frozen=True)
class Step:
    """Where a sampler is when it evaluates a model: what a guidance rule may depend on beside x, t and the class."""

    process: Process
    index: int  # of the step, from 0; of the evaluation, where a solver chooses its steps
    count: int | None  # steps in all; None: the solver chooses them
    t: float  # time of x, the process's own
    next_t: float | None  # time that the step leads to; None: the solver chooses it
    evaluation: int = 0  # within the step: 1 is Heun's second

    @property
    def sigma(self) -> float:
        """Noise level of x, `process.sigma(t)`."""
        return self.process.sigma(self.t)

    @property
    def next_sigma(self) -> float | None:
        """Noise level that the step leads to; 0 at the data."""
        return None if self.next_t is None else self.process.sigma(self.next_t)

    @property
    def share(self) -> float:
        """How far x is from the data, 0, to the noise, 1: in its process's own time, or, if that has no end, in steps.

        Raises StudyError where that is not known: steps are chosen by a solver.
        """
        own = self.process.share(self.t)
        if own is not None:
            return own
        if self.count is None:
            raise StudyError("how far from the data a solver is, which chooses its steps, is not known")
        return 1 - (self.index + self.evaluation) / self.count


class Sampler(Kind):
    """How a guided model turns noise into data.

    `fits`: the processes that it is written for, and whatever is derived from them; `process` below is one of them. A
    sampler whose states can be recorded, for `trajectories`, also has `times(process)` and `path(...)`, as DDIM has.
    """

    fits: ClassVar[tuple[type[Process], ...]]

    @property
    def one_evaluation(self) -> bool:
        """Whether its steps are fixed, and each of them evaluates the guided model once."""
        return self.together is None and self.evaluations() == getattr(self, "steps", 0)

    def check(self, at: str, name: str, process: Any) -> None:
        """Raise ValueError, one sentence, if the configuration key `at` asks too much of the process of this name."""

    @property
    def together(self) -> int | None:
        """Samples that are solved together, fixed by index, since they share adaptive steps; None: steps are fixed."""
        return None

    @property
    def learned_variance(self) -> bool:
        """Whether it asks the guided model for `learned_variance`, what the base model's network said of it last."""
        return False

    def denoiser(self, process: Any, denoiser: Denoiser) -> Denoiser:
        """A model's denoiser as guidance is to see it: itself, unless the sampler changes what models predict."""
        return denoiser

    @abstractmethod
    def evaluations(self) -> int | None:
        """Evaluations of the guided model that a sample takes; None: the solver decides."""

    @abstractmethod
    def sample(self, process: Any, model: Guided, x: "Tensor", label: "Tensor | None", draws: "Draws") -> "Tensor":
        """Data (N, *shape) from x ~ N(0, I), in its precision; `draws` are of the same N samples."""


def frame_times(params: dict) -> list[int]:
    """The time of each recorded frame of a `trajectories` recipe: those of its sampler's states."""
    return parse("processes.samplers", params["sampler"]).times(parse("processes", params["process"]))
