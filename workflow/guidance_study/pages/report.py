"""The report: one file that holds everything, from the question to the digests of the data."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import Name
from guidance_study.config.sentences import known
from guidance_study.pages import Page, Written

if TYPE_CHECKING:
    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

CAPTIONS = Path(__file__).parents[2] / "captions.yaml"


class ReportPage(Page):
    """Question, headline figure and board; each claim's evidence; tables, figures, cost, provenance."""

    kind: Literal["report"]
    headline: Name | None = Field(None, description="the figure that stands first; null: the first of `all`")
    captions: dict[Name, str] = Field({}, description="what to see in a figure or table (workflow/captions.yaml)")

    @model_validator(mode="before")
    @classmethod
    def _captioned(cls, data):
        """What is not said is what the project ships."""
        from guidance_study.config.loading import read

        if not isinstance(data, dict) or "captions" in data:
            return data
        return data | {"captions": read(CAPTIONS)}

    def check(self, at: str, study: "Study") -> None:
        """Its headline is a figure."""
        known(f"{at}.headline", self.headline, [None, *study.figures])

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """Everything that a plain run builds, but for reports."""
        study = plan.study
        shown = [name for name in study.all if getattr(study.targets[name], "kind", "") != self.kind]
        return {name: plan.target(name) for name in shown}, {"shown": shown}

    def make(self, job: "Job") -> Written:
        """The report."""
        from guidance_study.pages.writing.report import report

        return report(self, job)
