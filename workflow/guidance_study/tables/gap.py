"""How far the two sides of Eq. (4) are apart, in numbers."""

from typing import TYPE_CHECKING, Literal

from guidance_study.tables import Table
from guidance_study.tables.pairs import PairsSpec

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.execution.job import Job


class GapTable(PairsSpec, Table):
    """How far the two sides of Eq. (4) are apart, learned parts replaced by exact ones one at a time."""

    kind: Literal["gap"]

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting.render import framed
        from guidance_study.tables.reporting.trajectories import gap_lines, gap_notes, gaps

        rows = gaps(job, [pair.plain() for pair in self.pairs])
        return rows, framed(gap_lines(rows)), gap_notes(rows, job)
