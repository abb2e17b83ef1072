"""What guidance makes of a Gaussian with exact scores, beside what theory says."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Name, PositiveFloat, Scales
from guidance_study.config.choices import AnyGuidance, AnySampler
from guidance_study.config.sentences import distinct, known
from guidance_study.processes.ddpm import DDPM
from guidance_study.tables import Table

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

RULES = ["classifier_free", "autoguidance", "interval", "predictor_corrector"]  # whose law is known
SAMPLERS = ["ddim", "dpm_solver", "ancestral", "predictor_corrector"]  # of fixed steps; the last two draw fresh noise


class LawsTable(Table):
    """Conditional N(0, 1), unconditional N(0, 2): the variance of guided samples, by the pipeline's rules and samplers.

    No sample is drawn: scores of Gaussians are linear, and so is every step. Runs of a sampler's steps and of half as
    many are extrapolated to infinitely many (Richardson 1911).
    """

    kind: Literal["laws"]
    process: Name = Field(description="name in `processes`, of the kind ddpm")
    guidance: list[AnyGuidance] = Field(
        min_length=1,
        description="classifier_free (Bradley & Nakkiran 2024), autoguidance by N(0, 2), whatever its guide is called,"
        " and interval (our derivation), and predictor_corrector (Bradley & Nakkiran 2024)",
    )
    samplers: list[AnySampler] = Field(
        min_length=1, description="ddim, dpm_solver, ancestral and predictor_corrector, of even steps"
    )
    scales: Scales = Field([1, 1.5, 2, 3, 5], description="guidance scales")
    tolerance: PositiveFloat = Field(0.002, description="relative error at which a law is met (our guess)")

    def check(self, at: str, study: "Study") -> None:
        """Rules and samplers of which laws are known, and a process of enough steps."""
        known(f"{at}.process", self.process, [n for n, p in study.processes.items() if isinstance(p, DDPM)])
        for i, rule in enumerate(self.guidance):
            known(f"{at}.guidance[{i}].kind", rule.kind, RULES)
        for i, sampler in enumerate(self.samplers):
            known(f"{at}.samplers[{i}].kind", sampler.kind, SAMPLERS)
            sampler.check(f"{at}.samplers[{i}]", self.process, study.processes[self.process])
            if sampler.learned_variance:
                raise ValueError(f"configuration key '{at}.samplers[{i}]' asks for a learned variance: laws have none")
            if sampler.steps % 2:
                raise ValueError(
                    f"configuration key '{at}.samplers[{i}].steps' has the value {sampler.steps}: it must be even,"
                    " since half of them are taken too"
                )
        distinct(f"{at}.guidance (kind)", [rule.kind for rule in self.guidance])
        distinct(f"{at}.samplers (kind)", [sampler.kind for sampler in self.samplers])

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """Nothing but the process."""
        return {}, {"process": plan.plain("processes", self.process)}

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting.laws import lines, measured, notes
        from guidance_study.tables.reporting.render import framed

        rows = measured(self, job.params["process"])
        return rows, framed(lines(rows)), notes(self)
