"""Stage `figure`: a figure of the configuration, as .png and .pdf."""

from guidance_study.config import seams
from guidance_study.execution.job import Job
from guidance_study.figures.style import save
from guidance_study.networks.models import set_up


def make(job: Job) -> None:
    """Files: .png (200 dpi) and .pdf (points rasterised, text as text)."""
    set_up()
    save(seams.parse("figures", job.params["spec"]).draw(job), job.out)
