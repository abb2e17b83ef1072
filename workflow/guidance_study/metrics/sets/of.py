"""The sets that a job measures or draws: of images, points or trajectories, as its parameters say."""

from typing import Any

from guidance_study.execution.job import Job


def sets_of(job: Job) -> Any:
    """`Sets` of the job's subject; imported here, because images in stored spaces need no torch, and the others do."""
    if job.params["of"] == "images":
        from guidance_study.metrics.sets import images

        return images.Sets(job)
    if job.params["of"] == "points":
        from guidance_study.metrics.sets import points

        return points.Sets(job)
    from guidance_study.metrics.sets import trajectories

    return trajectories.Sets(job)
