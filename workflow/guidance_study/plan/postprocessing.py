"""Postprocessing: the flows (Eq. 9), what they learn from, and generations moved along them."""

from typing import TYPE_CHECKING

from guidance_study.config.experiments import Arm
from guidance_study.plan.recipes import Artefact, at_scales, listed

if TYPE_CHECKING:
    from guidance_study.plan.plan import Plan


def _learns_from(plan: "Plan", name: str, arm: Arm, scale: float) -> tuple[float, ...]:
    """The scales whose generations the flow of an arm, applied at `scale`, learns from."""
    return (scale,) if arm.train_on == "own_scale" else tuple(plan.study.experiments[name].pool.scales)


def _pool(plan: "Plan", name: str, arm: Arm, scale: float, seed: int) -> Artefact:
    """Generations that an arm's flow learns from; judged by the closed form, one artefact for all flows."""
    experiment = plan.study.experiments[name]
    pool = experiment.pool
    if experiment.exact:
        scales = list(pool.scales)
        if any(other.train_on == "own_scale" for other in experiment.arms):
            scales += [s for s in experiment.evaluation.scales if s not in scales]
        return plan.samples(name, seed, tuple(scales), pool.n * len(scales), "pool")
    return plan.samples(name, seed, _learns_from(plan, name, arm, scale), pool.n, "pool")


def postprocessor(plan: "Plan", name: str, arm: Arm, scale: float, seed: int) -> Artefact:
    """The flow (Eq. 9) that an arm of experiment `name` applies at `scale`."""
    experiment, spec = plan.study.experiments[name], plan.study.postprocessors[arm.postprocessor]
    pool, scales = _pool(plan, name, arm, scale, seed), _learns_from(plan, name, arm, scale)
    dataset, chooses = plan.study.models[experiment.model].dataset, selector(plan, name, arm, seed)
    by_boundary = chooses if arm.targets.endswith("boundary") else None
    neighbours = plan.neighbours(pool, dataset, arm.space, arm.k, seed, (arm.targets, by_boundary))
    params = {
        "network": plan.plain("networks", spec.network),
        "shape": pool.inputs["denoiser"].params["shape"],
        "class_rows": pool.params["classes"],
        "scales": list(scales),
        "n": experiment.pool.n,
        "half": arm.half,
        "training": spec.training.plain(),
        "seed": seed,
    }
    inputs = {"samples": pool, "dataset": neighbours.inputs["dataset"], "neighbours": neighbours}
    if chooses is not None and arm.half in ("low", "high"):
        inputs["selector"] = chooses
    label = f"{params['network']['kind']}-{listed(scales)}-{neighbours.label}-s{seed}"
    about = f"{name}: flow of {arm.name} from generations {at_scales(scales)}, seed {seed}"
    return plan.add(Artefact("postprocessor", label, params, inputs, about))


def selector(plan: "Plan", name: str, arm: Arm, seed: int) -> Artefact | None:
    """The classifier by whose margins an arm chooses; None where it does not, or where the closed form does."""
    chosen = plan.study.experiments[name].selector
    return plan.classifier(chosen, seed) if arm.margins and chosen is not None else None


def real_postprocessed(plan: "Plan", name: str, arm: Arm, scale: float, seed: int) -> Artefact:
    """Real data that nothing learns from after the flow that an arm of an experiment applies at `scale`."""
    experiment, flow = plan.study.experiments[name], plan.postprocessor(name, arm, scale, seed)
    dataset = plan.dataset(plan.study.models[experiment.model].dataset, seed)
    params = {
        "solver": plan.study.postprocessors[arm.postprocessor].solver.plain(),
        "flows": ["postprocessor/0"],
        "real": {"part": "fresh" if experiment.exact else "held_out", "n": experiment.evaluation.n},
    }
    about = f"{name}: real data after the flow of {arm.name}, seed {seed}"
    label = f"real-{flow.inputs['neighbours'].label}-s{seed}"
    return plan.add(Artefact("postprocessed", label, params, {"dataset": dataset, "postprocessor/0": flow}, about))


def postprocessed(plan: "Plan", name: str, arm: Arm, scales: tuple[float, ...], seed: int) -> Artefact:
    """The evaluated generations of an experiment after one arm's flow, or flows (Eq. 9)."""
    samples = plan.evaluated(name, scales, seed)
    flows = {s: plan.postprocessor(name, arm, s, seed) for s in samples.params["scales"]}
    roles = {flow.address: f"postprocessor/{i}" for i, flow in enumerate(dict.fromkeys(flows.values()))}
    inputs = {"samples": samples} | {roles[flow.address]: flow for flow in flows.values()}
    params = {
        "solver": plan.study.postprocessors[arm.postprocessor].solver.plain(),
        "flows": [roles[flow.address] for flow in flows.values()],  # of each scale of the samples
    }
    about = f"{name}: {samples.params['n']} generations {at_scales(flows)} after {arm.name}, seed {seed}"
    label = f"{samples.label}-{next(iter(flows.values())).inputs['neighbours'].label}"
    return plan.add(Artefact("postprocessed", label, params, inputs, about))
