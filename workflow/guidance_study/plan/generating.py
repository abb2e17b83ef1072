"""Generations, and trajectories that lead to them."""

from typing import TYPE_CHECKING

from guidance_study.plan.recipes import Artefact, at_scales, listed

if TYPE_CHECKING:
    from guidance_study.plan.plan import Plan

WHY = {"pool": "to learn from", "evaluation": "to measure"}  # purposes of generations, in a person's words


def samples(plan: "Plan", name: str, seed: int, scales: tuple[float, ...], n: int, purpose: str) -> Artefact:
    """`n` guided generations of an experiment, an equal share of each scale, for a purpose of WHY."""
    experiment = plan.study.experiments[name]
    model = plan.study.models[experiment.model]
    guidance = experiment.guidance
    inputs = {"denoiser": plan.denoiser(experiment.model, seed)}
    for role, part in guidance.parts().items():
        inputs[role] = plan.denoiser(part, seed) if guidance.roles[role] == "models" else plan.classifier(part, seed)
    params = {  # networks themselves go into the recipe, not their names here
        "guidance": {key: value for key, value in guidance.plain().items() if key not in guidance.roles},
        "sampler": experiment.sampler.plain(),
        "scales": list(scales),
        "n": n,
        "classes": plan.facts(model.dataset).classes,
        "purpose": purpose,
        "seed": seed,
    }
    label = f"{guidance.short}-{listed(scales)}-{purpose}-s{seed}"
    about = f"{name}: {n} generations {at_scales(scales)} {WHY[purpose]}, seed {seed}"
    return plan.add(Artefact("samples", label, params, inputs, about))


def evaluated(plan: "Plan", name: str, scales: tuple[float, ...], seed: int) -> Artefact:
    """The generations that are measured at some scales; judged by the closed form, at all of them."""
    evaluation = plan.study.experiments[name].evaluation
    if plan.study.experiments[name].exact:
        scales = tuple(evaluation.scales)
    n = evaluation.repeats * evaluation.n * len(scales)
    return plan.samples(name, seed, scales, n, "evaluation")


def trajectories(plan: "Plan", name: str, seed: int) -> Artefact:
    """Trajectories of all runs of an entry of `trajectories`."""
    spec = plan.study.trajectories[name]
    used = {run.eps for run in spec.runs.values()}
    used |= {part for run in spec.runs.values() for part in run.guidance.parts().values()}
    inputs = {"dataset": plan.dataset(spec.dataset, seed)}
    for role, part in spec.parts.items():
        if role in used:
            model = part in plan.study.models
            inputs[f"part/{role}"] = plan.denoiser(part, seed) if model else plan.classifier(part, seed)
    params = {
        "process": plan.plain("processes", spec.process),
        "sampler": spec.sampler.plain(),
        "runs": [{"name": key, **run.plain()} for key, run in spec.runs.items()],
        "n": spec.n,
        "shape": list(plan.facts(spec.dataset).shape),
        "classes": plan.facts(spec.dataset).classes,
        "seed": seed,
    }
    label = f"{plan.study.datasets[spec.dataset].kind}-{len(spec.runs)}runs-s{seed}"
    about = f"{name}: {spec.n} trajectories of each of {len(spec.runs)} runs, seed {seed}"
    return plan.add(Artefact("trajectories", label, params, inputs, about))
