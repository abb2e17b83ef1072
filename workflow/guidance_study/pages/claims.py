"""The board: what the paper claims, what was measured of it, and what that decides."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import Name, Seed, Spec, Title
from guidance_study.config.seams import kinds
from guidance_study.config.sentences import distinct, known
from guidance_study.config.targets import OverSeeds
from guidance_study.pages import Page, Written
from guidance_study.support.reading import read_json
from guidance_study.support.text import canonical
from guidance_study.tables.asking import Contrast, asks, fits

if TYPE_CHECKING:
    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan
    from guidance_study.plan.recipes import Artefact

CLAIMS = Path(__file__).parents[2] / "claims.yaml"
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "claims.json"


class Claim(OverSeeds):
    """A sentence of the paper; it holds where every part does."""

    claim: Title = Field(description="what the paper says (paper)")
    section: Title = Field(description="where it says so (paper)")
    guidance: Name | None = Field(
        None, description="the kind that all its experiments have, where its sentence speaks of more (our guess)"
    )
    parts: list[Contrast] = Field([], max_length=9, description="what decides it (our guess)")
    needs: Title | None = Field(None, description="what has to be there where a study does not declare it")
    answers: Literal["away", "why"] | None = Field(
        None,
        description="the question to which it is an answer: does guidance push away from the boundary, or is that why"
        " postprocessing helps (our guess)",
    )
    evidence: list[Name] = Field([], description="tables and figures that show it, where there are any")

    @model_validator(mode="after")
    def _says_what_it_needs(self):
        if not self.parts and not self.needs:
            raise ValueError("a claim without parts says what it 'needs'")
        return self

    @property
    def scope(self) -> str | None:
        """Of what it is asked alone, in words."""
        return self.guidance and f"{kinds('guidance')[self.guidance].title} guidance"

    def fits(self, at: str, study: "Study", of: list[str] | None = None) -> bool:
        """Whether the study declares all that its parts look at; ValueError, one sentence, if one does not fit it.

        of: names of what is looked at; None: all that the study declares.
        """
        there = declared(study) if of is None else of
        subjects = set().union(*(part.subjects for part in self.parts))
        if not self.parts or not subjects.issubset(there):
            return False
        for name in sorted(subjects & study.experiments.keys()):
            kind = study.experiments[name].guidance.kind
            if self.guidance not in (None, kind):
                raise ValueError(f"{at}.guidance has the value '{self.guidance}': experiment '{name}' has '{kind}'")
        for i, part in enumerate(self.parts):
            fits(f"{at}.parts[{i}]", part, study)
        return True

    def lacks(self, study: "Study", of: list[str] | None = None) -> str | None:
        """Why it is not run of the study, in a sentence; None where nothing is missing."""
        try:
            there = self.fits("claim", study, of)
        except ValueError as error:
            return str(error)
        return None if there else f"needs {self.needs or 'all that config.yaml declares'}"

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """What it looks at, of a study that declares all of it."""
        for part in self.parts:
            yield from asks(part, study)


class Earlier(Spec):
    """Numbers of an earlier run."""

    statistic: str = Field(description="what was measured, as the board's data say it")
    numbers: dict[str, float] = Field(description="training seed -> number")


class ClaimsPage(Page):
    """A row a claim: verdict of the reference seeds with its numbers, this run's beside it, what would decide it."""

    kind: Literal["claims"]
    claims: list[Claim] = Field([], description="of the paper, in its order (default: workflow/claims.yaml)")
    of: list[Name] | None = Field(
        None, description="experiments and trajectories that claims are asked of; null: all that are declared"
    )
    pilots: list[Seed] = Field([0, 1, 2], description="training seeds that were looked at before, and decide nothing")
    reference: list[Earlier] = Field([], description="numbers of earlier runs (default: docs/reference/claims.json)")

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        """What is not said is what the project ships."""
        if not isinstance(data, dict):
            return data
        return shipped(data.keys()) | data

    def check(self, at: str, study: "Study") -> None:
        """Every part of a configuration's own claims fits the study; of the project's, a study may leave some out."""
        distinct(f"{at}.claims (claim, guidance)", [f"{one.claim}, {one.guidance}" for one in self.claims])
        for name in self.of or []:
            known(f"{at}.of", name, declared(study))
        for i, claim in enumerate(self.claims):
            if claim.guidance:
                known(f"{at}.claims[{i}].guidance", claim.guidance, kinds("guidance"))
            try:
                claim.fits(f"{at}.claims[{i}]", study, self.of)
            except ValueError:
                if self.claims != [Claim.model_validate(theirs) for theirs in shipped(["reference"])["claims"]]:
                    raise

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """What the claims look at that the study declares."""
        for claim in self.claims:
            if claim.lacks(study, self.of) is None:
                yield from claim.asks(study)

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of everything that is asked for, of the seeds of each claim."""
        study = plan.study
        lacking = [claim.lacks(study, self.of) for claim in self.claims]
        inputs: dict[str, Artefact] = {}
        sources: dict[str, Any] = {}
        for claim, lack in zip(self.claims, lacking, strict=True):
            if lack is None:
                asked, said = plan.sources_of(claim.asks(study), claim.trained(study.seeds))
                inputs |= asked
                sources |= {source["role"]: source for source in said["sources"]}
        shown = [name for name in study.all if name not in study.pages]
        return inputs, {"sources": list(sources.values()), "seeds": study.seeds, "shown": shown, "lacking": lacking}

    def make(self, job: "Job") -> Written:
        """The board."""
        from guidance_study.pages.writing.board import board

        return board(self, job)


def declared(study: "Study") -> list[str]:
    """What claims can be asked of."""
    return [*study.experiments, *study.trajectories]


def shipped(known: Any) -> dict:
    """The claims of the project and the numbers of its reference runs, but for keys that are known."""
    from guidance_study.config.loading import read

    found: dict[str, Any] = {}
    if "claims" not in known:
        found["claims"] = read(CLAIMS, list)
    if "reference" not in known and REFERENCE.is_file():
        found["reference"] = read_json(REFERENCE).get("numbers")
    return found


def statistic(part: Contrast) -> str:
    """What a part measures, whatever is expected of it: by this, numbers of other runs are of the same."""
    said = part.plain()
    return canonical({key: said[key] for key in said if key not in ("question", "expects", "threshold", "within")})
