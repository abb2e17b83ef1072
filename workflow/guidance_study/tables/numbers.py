"""Every number that a plain run measures: one row each, every setting a column of its .csv."""

from typing import TYPE_CHECKING, Literal

from guidance_study.tables import Table

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan


class NumbersTable(Table):
    """The .csv holds the numbers; the table to read says how many there are of what."""

    kind: Literal["numbers"]

    def check(self, at: str, study: "Study") -> None:
        """Anything fits."""

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """The measures of everything that `all` builds."""
        study = plan.study
        asked = [ask for name in study.all for ask in study.targets[name].asks(study)]
        return plan.sources_of(asked, self.trained(study.seeds))

    def make(self, job: "Job") -> "tuple[pd.DataFrame, pd.DataFrame, list[str]]":
        """(tidy numbers, table, notes)."""
        from guidance_study.tables.reporting import collect
        from guidance_study.tables.reporting.render import framed

        rows = collect(job, None)[0].drop(columns="role", errors="ignore")
        rows = rows[["of", "seed", *(c for c in rows.columns if c not in ("of", "seed", "value")), "value"]]
        counts = rows.groupby(["of", "metric"], sort=False)["value"].agg(["size", "count"]).reset_index()
        lines = [
            {"Of": row.of, "Metric": row.metric, "Numbers": str(row.size_), "of them finite": str(row.finite)}
            for row in counts.rename(columns={"size": "size_", "count": "finite"}).itertuples()
        ]
        return rows, framed(lines), ["The numbers themselves are in the .csv, one row each, every setting a column."]
