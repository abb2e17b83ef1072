"""Condition annealing (Sadat et al. 2024, CADS: Unleashing the diversity of diffusion models)."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.guidance import Batch, Guidance
from guidance_study.processes.samplers import Guided, Step
from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    from torch import Tensor


class ConditionAnnealing(Guidance):
    """Classifier-free guidance whose class is drowned in noise at first, and comes out of it as samples form.

    With tau_1 at 1 it is classifier-free guidance.
    """

    kind: Literal["condition_annealing"]
    tau_1: float = Field(
        0.6,
        ge=0,
        le=1,
        description="time, from 0 at the data to 1 at the noise, up to which the class is bare (their paper)",
    )
    tau_2: float = Field(0.9, ge=0, le=1, description="time from which nothing of it is left (their paper)")
    noise_scale: float = Field(0.1, ge=0, description="s: size of the noise (their paper: 0.025 to 0.25)")
    mixing: float = Field(
        1.0, ge=0, le=1, description="psi: how far mean and spread of the class's vector are restored (their paper: 1)"
    )
    short: ClassVar[str] = "cads"
    title: ClassVar[str] = "condition annealing"
    conditional: ClassVar[bool] = True
    unguided_at_1: ClassVar[bool] = False
    vectors: ClassVar[bool] = True

    @property
    def fixed_steps(self) -> bool:  # type: ignore[override]  # of other rules the class alone tells it
        """No solver can follow a field of which every evaluation draws another."""
        return self.tau_1 < 1 and self.noise_scale > 0

    @model_validator(mode="after")
    def _rises(self):
        if self.tau_1 > self.tau_2:
            raise ValueError(f"tau_1 has the value {self.tau_1:g}: it must be at most tau_2, {self.tau_2:g}")
        return self

    def gamma(self, step: Step) -> float:
        """Their Eq. (2): how much of the class there is, 1 up to tau_1 and 0 from tau_2."""
        time = step.share
        if time <= self.tau_1:
            return 1.0
        return 0.0 if time >= self.tau_2 else (self.tau_2 - time) / (self.tau_2 - self.tau_1)

    def start(self, batch: Batch) -> Guided:
        """Eq. (8), the class's vector y as sqrt(gamma) y + s sqrt(1 - gamma) n, n ~ N(0, I) (their Eqs. 3 and 4)."""
        table = batch.model.vectors
        if table is None:
            raise StudyError("guidance 'condition_annealing' needs a network with vectors of its classes")

        def guided(x, t, label, step):
            gamma = self.gamma(step)
            if gamma == 1:
                return batch.model.mixed(x, t, label, batch.scale)
            y = table[label]
            noise = batch.draws.normal(f"condition_annealing/{step.index}/{step.evaluation}", y.shape[1:]).to(y)
            annealed = self._restored(gamma**0.5 * y + self.noise_scale * (1 - gamma) ** 0.5 * noise, y)
            return batch.model.mixed(x, t, annealed, batch.scale, table[batch.model.no_class].expand_as(y))

        return guided

    def _restored(self, annealed: "Tensor", y: "Tensor") -> "Tensor":
        """psi of a vector with the mean and the standard deviation of y, 1 - psi of it as it is."""
        spread, of_y = (v.std(1, correction=0, keepdim=True) for v in (annealed, y))
        centred = (annealed - annealed.mean(1, keepdim=True)) / spread.clamp_min(1e-12)
        return self.mixing * (centred * of_y + y.mean(1, keepdim=True)) + (1 - self.mixing) * annealed
