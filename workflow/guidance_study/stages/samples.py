"""Stage `samples`: guided generations, by Eq. (7) or Eq. (8), at one scale or an equal share of several."""

import numpy as np
import torch

from guidance_study import processes
from guidance_study.config import seams
from guidance_study.execution.devices import halving, undivided
from guidance_study.execution.job import Input, Job
from guidance_study.execution.sharding import Work, rows
from guidance_study.networks.models import batches, frozen, load_classifier, set_up, state_of
from guidance_study.store.rows import shares
from guidance_study.support.errors import StudyError
from guidance_study.support.randomness import normal


class Counted:
    """A guided model m(x, t, label) that counts its evaluations; one of both branches of Eq. (8) is one."""

    def __init__(self, model):
        self.model, self.nfe = model, 0

    def __call__(self, *arguments) -> torch.Tensor:
        self.nfe += 1
        return self.model(*arguments)


def load_denoiser(source: Input):
    """The model m(x, t, label) of a `denoiser` artefact, and its process."""
    params = source.params
    process = processes.build(params["process"])
    network = seams.parse("networks", params["network"]).build(tuple(params["shape"]), params["rows"])
    return process.denoiser(frozen(network, state_of(source))), process


def generate(denoiser, process, guidance, params: dict, shape: tuple[int, ...], first: int, last: int, *,
             null: int, scale: float, classifier=None, device="cpu") -> tuple[torch.Tensor, int]:  # fmt: skip
    """Samples first..last-1 (last - first, *shape) at one scale, and the evaluations that they took.

    They are the same whatever range they are asked for in; adaptive solvers have ranges that are fixed.

    Sample i has class i mod `classes` and its own noise, equal for all scales and guidances of a purpose and seed.
    """
    purpose, seed = params["purpose"], params["seed"]
    draw = lambda what: torch.from_numpy(normal(seed, f"{purpose}/{what}", first, last, shape)).to(device)  # noqa: E731
    label = torch.arange(first, last, device=device) % params["classes"]
    model = Counted(guidance.wrap(denoiser, scale, null=null, classifier=classifier, process=process))
    with torch.no_grad():
        noise = lambda i: draw(f"step{i}")  # noqa: E731
        return process.sample(model, draw("x_T"), label, noise=noise, first=first, **params["sampler"]), model.nfe


def work(job: Job) -> Work:
    """The generations, a batch or a solver's block at a time; no unit has two scales."""
    params, device = job.params, set_up()
    source = job.inputs["denoiser"]
    denoiser, process = load_denoiser(source)
    classifier = load_classifier(job.inputs["classifier"]) if "classifier" in job.inputs else None
    guidance = seams.parse("guidance", params["guidance"])
    shape, of = tuple(source.params["shape"]), shares(params["scales"], params["n"])
    block = params["sampler"].get("block")  # of an adaptive solver: part of the recipe, for it changes its steps
    units = [
        (start + a, start + b, scale)
        for scale in params["scales"]
        for start, size in [(int(np.argmax(of == scale)), int((of == scale).sum()))]
        for a, b in batches(size, block, -(-size // job.parts))
    ]

    def compute(first: int, last: int, scale: float) -> tuple[np.ndarray, int]:
        nfe = 0

        def some(a: int, b: int) -> torch.Tensor:
            nonlocal nfe
            part, nfe = generate(
                denoiser, process, guidance, params, shape, a, b,
                null=source.params["rows"] - 1, scale=scale, classifier=classifier, device=device,
            )  # fmt: skip
            return part.cpu()

        if block:
            with undivided(f"a block of {block} samples", "sampler.block"):
                found = some(first, last)
        else:
            found = halving(some, first, last)
        if not torch.isfinite(found).all():
            bad = int((~torch.isfinite(found)).flatten(1).any(1).nonzero()[0])
            raise StudyError(f"sample {first + bad} at scale {scale:g} is not finite; train longer or clip x_0")
        return found.numpy(), nfe

    return Work("samples.npy", (params["n"], *shape), units, compute)


def make(job: Job) -> None:
    """Files: samples.npy (n, *shape) float32; labels.npy (n,) int64. Scales come in the order of the parameters."""
    params = job.params
    nfe = rows(job, work)
    np.save(job.out / "labels.npy", np.arange(params["n"]) % params["classes"])
    job.facts["nfe"] = nfe if "block" in params["sampler"] else nfe[0]
