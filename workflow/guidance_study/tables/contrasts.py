"""Questions in words, each answered by a difference of what is measured, one number a training seed."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from guidance_study.config.base import Depth, Name, Title
from guidance_study.config.sentences import distinct, known
from guidance_study.tables import Table
from guidance_study.tables.asking import Contrast, asks, fits

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class ContrastsTable(Table):
    """A row for each question: what was compared, mean and t interval over training seeds, Holm's p, the answer."""

    kind: Literal["contrasts"]
    contrasts: list[Contrast] = Field(min_length=1, description="the questions")
    also: dict[Title, Name] = Field(
        {}, description="every question asked of these too, in the place of `of`, by what is another there (our guess)"
    )
    family: Depth | None = Field(
        None, description="tests that Holm's correction counts; null: those of this table (our guess)"
    )

    @property
    def questions(self) -> list[Contrast]:
        """All that is asked: each contrast, followed by the same of every entry of `also`."""
        return [
            contrast.model_copy(update={"of": of, "question": f"{contrast.question} {how}".strip()})
            for contrast in self.contrasts
            for how, of in [("", contrast.of), *((f"[{how}]", of) for how, of in self.also.items())]
        ]

    def check(self, at: str, study: "Study") -> None:
        """Every name exists where it is looked for, and something is measured of every side."""
        distinct(f"{at}.contrasts (question)", [contrast.question for contrast in self.contrasts])
        for how, of in self.also.items():
            known(f"{at}.also.{how}", of, [*study.experiments, *study.trajectories])
        if self.family is not None and self.family < len(self.questions):
            raise ValueError(
                f"configuration key '{at}.family' has the value {self.family}: it counts at least the"
                f" {len(self.questions)} tests of this table"
            )
        for i, contrast in enumerate(self.questions):
            fits(f"{at}.contrasts[{i // (1 + len(self.also))}]", contrast, study)

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """What it looks at of each experiment and scale, or of trajectories."""
        for contrast in self.questions:
            yield from asks(contrast, study)

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of everything that is asked for, of every seed."""
        return plan.sources_of(self.asks(plan.study), self.trained(plan.study.seeds))

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting import collect
        from guidance_study.tables.reporting.contrasts import answered, lines, notes
        from guidance_study.tables.reporting.render import framed

        rows, _ = collect(job, None)
        found = answered(rows, self.questions, self.family)
        return found, framed(lines(found)), notes(found, self)
