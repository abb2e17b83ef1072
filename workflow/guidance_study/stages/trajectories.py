"""Stage `trajectories`: guided trajectories from the same noises, with learned parts, exact parts, or some of each."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch

from guidance_study.config import seams
from guidance_study.config.trajectories import EXACT
from guidance_study.execution.job import Job
from guidance_study.guidance import BASE, Batch, Classifier, Model, seen
from guidance_study.metrics.oracle import oracle_of
from guidance_study.networks.models import load_classifier, set_up
from guidance_study.processes.ddpm import DDPM
from guidance_study.processes.samplers import frame_times
from guidance_study.stages.samples import load_denoiser
from guidance_study.support.errors import StudyError
from guidance_study.support.progress import track
from guidance_study.support.randomness import Draws


def recorded(
    path: Iterable[tuple[int, torch.Tensor]], start: torch.Tensor, first: int, wanted: list[int]
) -> torch.Tensor:
    """The frames (F, n, d) of a path nearest to the wanted diffusion steps; `first` is the step of `start`."""
    steps, states = [first], [start]
    for step, state in path:
        steps.append(step)
        states.append(state)
    return torch.stack([states[int(np.abs(np.array(steps) - t).argmin())] for t in wanted])


class Parts:
    """What runs are made of: learned parts by role, and the closed form under the name `exact`; all in float64."""

    def __init__(self, job: Job, process: DDPM, device):
        self.job, self.process = job, process
        self.oracle = oracle_of(job.inputs["dataset"], device)

    def model(self, role: str) -> Model:
        """eps(x, t, label)."""
        if role == EXACT:
            return Model(self.oracle.denoiser(self.process, null=self.oracle.classes), self.oracle.classes)
        eps, _ = load_denoiser(self.job.inputs[f"part/{role}"])
        return replace(eps, denoiser=lambda x, t, label: eps(x.float(), t, label).double())

    def classifier(self, role: str) -> Classifier:
        """logits(x, time)."""
        if role == EXACT:
            return self.oracle.classifier(self.process)
        network = load_classifier(self.job.inputs[f"part/{role}"])
        return lambda x, time: network(x.float(), time)


def make(job: Job) -> None:
    """Files: trajectories.npy (rows, frames, n, d) float64; labels.npy (n,).

    Rows are those of `store.rows.columns`, frames those of `processes.samplers.frame_times`.
    """
    params, device = job.params, set_up()
    process = seams.parse("processes", params["process"])
    parts = Parts(job, process, device)
    draws = Draws(params["seed"], "paths", 0, params["n"])  # their name of before: the same noises as then
    label = torch.arange(params["n"], device=device) % params["classes"]
    start = draws.normal("x_T", tuple(params["shape"])).to(device).double()
    wanted, rows = frame_times(params), []
    todo = [(run, scale) for run in params["runs"] for scale in run["scales"]]
    for run, scale in track(todo, len(todo), "runs"):
        guidance = seams.parse("guidance", run["guidance"])
        models, classifiers = {BASE: parts.model(run["eps"])}, {}
        for role, part in guidance.parts().items():
            if guidance.roles[role] == "models":
                models[role] = parts.model(part)
            else:
                classifiers[role] = parts.classifier(part)
        chosen = params["sampler"] | ({"steps": run["steps"]} if run["steps"] else {})
        sampler = seams.parse("processes.samplers", chosen)
        models = seen(models, sampler, process)
        with torch.no_grad():
            guided = guidance.start(Batch(scale, process, models, draws, params["classes"], classifiers))
            path = sampler.path(process, guided, start, label, draws)
            rows.append(recorded(path, start, process.timesteps - 1, wanted).cpu())
        if not torch.isfinite(rows[-1]).all():
            raise StudyError(f"run '{run['name']}' at scale {scale:g} leaves the finite numbers; use smaller scales")
    np.save(job.out / "trajectories.npy", torch.stack(rows).numpy())
    np.save(job.out / "labels.npy", label.cpu().numpy())
