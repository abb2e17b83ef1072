"""Stage `samples`: guided generations, by Eq. (7) or Eq. (8), at one scale or an equal share of several."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from guidance_study.config import seams
from guidance_study.execution.devices import halving, undivided
from guidance_study.execution.job import Input, Job
from guidance_study.execution.sharding import Work, rows
from guidance_study.guidance import BASE, Batch, Classifier, Guidance, Model, seen
from guidance_study.networks.models import batches, load_classifier, load_network, set_up
from guidance_study.processes import Process
from guidance_study.processes.samplers import Guided, Sampler, Step
from guidance_study.store.rows import drawn, scale_of
from guidance_study.support.errors import StudyError
from guidance_study.support.params import Params
from guidance_study.support.randomness import Draws


class Counted:
    """A guided model m(x, t, label, step) that counts its evaluations; one of both branches of Eq. (8) is one."""

    def __init__(self, model: Guided, base: Model):
        self.model, self.base, self.nfe, self.n = model, base, 0, 0

    def __call__(self, x: Tensor, t: Tensor, label: Tensor | None, step: Step) -> Tensor:
        self.nfe, self.n = self.nfe + 1, len(x)
        return self.model(x, t, label, step)

    @property
    def learned_variance(self) -> Tensor:
        """What the base model's network last said of the variance; of both branches, that with the class, the first."""
        return self.base.denoiser.variance[: self.n]  # type: ignore[attr-defined]  # a DDPM's, of a learned variance


def load_denoiser(source: Input) -> tuple[Model, Process]:
    """The model of a `denoiser` artefact, and its process."""
    params = source.params
    process = seams.parse("processes", params["process"])
    return model_of(process, load_network(source), params), process


def model_of(process: Process, network: nn.Module, params: Params) -> Model:
    """The network of a `denoiser` recipe as guidance sees it; "no class" is the last row after those of its classes."""
    told: Callable[[], Tensor | None] = getattr(network, "class_vectors", lambda: None)
    rows, classes = params["class_rows"], classes_of(params)
    return Model(process.denoiser(network), classes if rows > classes else None, told() if rows else None)


def classes_of(params: Params) -> int:
    """The classes that the network of a `denoiser` recipe is told of, "no class" left out; 0 where it takes none."""
    rows = params["class_rows"]
    return rows - seams.parse("networks", params["network"]).null_rows(params["class_dropout"]) if rows else 0


@dataclass(frozen=True)
class Generator:
    """What makes generations: a process, its sampler, a guidance rule, and the parts that it names, by role."""

    process: Process
    sampler: Sampler
    guidance: Guidance
    models: Mapping[str, Model]
    classifiers: Mapping[str, Classifier]
    shape: tuple[int, ...]
    classes: int

    @classmethod
    def of(cls, job: Job) -> "Generator":
        """That of a recipe with `guidance`, `sampler` and `classes`, its inputs loaded."""
        said = job.params["guidance"]  # without the names of its parts, which are inputs by role
        named = {role: role for role in seams.kinds("guidance")[said["kind"]].roles if role in job.inputs}
        guidance = seams.parse("guidance", said | named)
        model, process = load_denoiser(job.inputs[BASE])
        roles = {role: section for role, section in guidance.roles.items() if role in job.inputs}
        return cls(
            process,
            seams.parse("processes.samplers", job.params["sampler"]),
            guidance,
            {BASE: model} | {r: load_denoiser(job.inputs[r])[0] for r, section in roles.items() if section == "models"},
            {r: load_classifier(job.inputs[r]) for r, section in roles.items() if section == "classifiers"},
            tuple(job.inputs[BASE].params["shape"]),
            job.params["classes"],
        )

    def generate(
        self, draws: Draws, scale: float, device: torch.device | str = "cpu", label: Tensor | None = None
    ) -> tuple[Tensor, int]:
        """The samples of `draws`, (last - first, *shape), at one scale, and the evaluations that they took.

        They are the same whatever range they are asked for in; adaptive solvers have ranges that are fixed.

        Draw i has class i mod `classes` where `label` (last - first,) says none, and its own noise, equal for all
        scales and guidances of a purpose and seed. StudyError: the rule is not for the sampler, or for the scale.
        """
        rule = self.guidance
        if (unfit := rule.unfit(self.sampler)) is not None:
            key, needed = unfit
            found = getattr(self.sampler, key)
            raise StudyError(f"guidance '{rule.kind}' needs {needed}, and the sampler's {key} is '{found}'")
        if scale > rule.largest:
            raise StudyError(f"guidance '{rule.kind}' has scales up to {rule.largest:g}, not {scale:g}")
        label = (torch.arange(draws.first, draws.last) % self.classes if label is None else label).to(device)
        models = seen(self.models, self.sampler, self.process)
        batch = Batch(scale, self.process, models, draws, self.classes, self.classifiers)
        with torch.no_grad():
            model = Counted(rule.start(batch), self.models[BASE])
            start = draws.normal("x_T", self.shape).to(device)
            return self.sampler.sample(self.process, model, start, label, draws), model.nfe


def fitted(some: Callable[[int, int], Tensor], first: int, last: int, scale: float, block: int | None) -> Tensor:
    """some(first, last), in parts where memory does not suffice and no solver's `block` forbids it; all finite."""
    if block:
        with undivided(f"a block of {block} samples", "sampler.block"):
            found = some(first, last)
    else:
        found = halving(some, first, last)
    if not torch.isfinite(found).all():
        bad = int((~torch.isfinite(found)).flatten(1).any(1).nonzero()[0])
        raise StudyError(f"sample {first + bad} at scale {scale:g} is not finite; train longer or clip x_0")
    return found


def work(job: Job) -> Work:
    """The generations, a batch or a solver's block at a time; no unit has two scales."""
    params, device = job.params, set_up()
    generator, of, draw = Generator.of(job), scale_of(params), drawn(params)
    block = generator.sampler.together
    units = [
        (start + a, start + b, scale)
        for scale in params["scales"]
        for start, size in [(int(np.argmax(of == scale)), int((of == scale).sum()))]
        for a, b in batches(size, block, -(-size // job.parts))
    ]

    def compute(first: int, last: int, scale: float) -> tuple[np.ndarray, int]:
        nfe = 0

        def some(a: int, b: int) -> Tensor:
            nonlocal nfe
            first = int(draw[a])  # draws follow one another within a scale, and no unit has two
            draws = Draws(params["seed"], params["purpose"], first, first + b - a)
            part, nfe = generator.generate(draws, scale, device)
            return part.cpu()

        return fitted(some, first, last, scale, block).numpy(), nfe

    return Work("samples.npy", (params["n"], *generator.shape), units, compute)


def make(job: Job) -> None:
    """Files: samples.npy (n, *shape) float32; labels.npy (n,) int64. Scales come in the order of the parameters."""
    params = job.params
    nfe = rows(job, work)
    np.save(job.out / "labels.npy", drawn(params) % params["classes"])
    adaptive = seams.parse("processes.samplers", params["sampler"]).together
    job.facts["nfe"] = nfe if adaptive else nfe[0]
