"""Stage `table`: a table of the configuration -> .csv (tidy), .md, .html, .tex (the form to read)."""

from guidance_study.config import seams
from guidance_study.execution.job import Job
from guidance_study.tables.reporting.render import render


def make(job: Job) -> None:
    """Files: the tidy numbers as .csv; the same in the form to read as .md, .html and .tex."""
    spec = seams.parse("tables", job.params["spec"])
    numbers, table, notes = spec.make(job)
    numbers.to_csv(job.out / "table.csv", index=False, float_format="%.6g", lineterminator="\n")
    for suffix, text in render(table, job.params["name"], spec.title, notes).items():
        (job.out / f"table{suffix}").write_text(text, encoding="utf-8")
