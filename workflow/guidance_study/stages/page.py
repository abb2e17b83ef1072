"""Stage `page`: a page of the configuration, as .html, .md and .json."""

import json

from guidance_study.config import seams
from guidance_study.execution.job import Job


def make(job: Job) -> None:
    """Files: the page to open, the same as text, and what it says as data."""
    page = seams.parse("pages", job.params["spec"]).make(job)
    (job.out / "page.html").write_text(page.html, encoding="utf-8")
    (job.out / "page.md").write_text(page.markdown, encoding="utf-8")
    (job.out / "page.json").write_text(json.dumps(page.data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
