"""What is measured of an experiment: distances and the like, before and after postprocessing, and what it costs."""

from typing import TYPE_CHECKING

from guidance_study.config.experiments import Arm, Experiment
from guidance_study.plan.embedding import within
from guidance_study.plan.recipes import Artefact, at_scales
from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    from guidance_study.plan.plan import Plan


def measures(plan: "Plan", name: str, scale: float, seed: int) -> Artefact:
    """All measures of an experiment at a scale: before, after each arm, and retrieved."""
    experiment = _experiment(plan, name, False)
    evaluation = experiment.evaluation
    arms, inputs = _judged(plan, name, (scale,), seed)
    samples, dataset = inputs["samples"], inputs["dataset"]
    if experiment.evaluator is not None:
        inputs["evaluator"] = plan.classifier(experiment.evaluator, seed)
    for space in evaluation.spaces:
        for part in ("train", "held_out"):
            inputs[f"seen/{space}/{part}"] = real = plan.features(dataset, space, part)
            inputs[f"statistics/{space}/{part}"] = plan.statistics(real)
        inputs[f"seen/{space}/before"] = plan.features(samples, space, "samples")
        for arm in experiment.arms:
            after = inputs[f"postprocessed/{arm.name}"]
            inputs[f"seen/{space}/{arm.name}"] = plan.features(after, space, "samples")
    said = ("blocks", "manifold_k", "manifold_n", "copy_quantile", "per_class", "spaces")
    params = {"arms": arms, **{key: getattr(evaluation, key) for key in said}, "seed": seed}
    about = f"{name}: measured {at_scales([scale])}, seed {seed}"
    return plan.add(Artefact("measures", samples.label, params, inputs, about))


def point_measures(plan: "Plan", name: str, seed: int) -> Artefact:
    """All measures of an experiment that the closed form judges: every scale, before, after and retrieved."""
    evaluation = _experiment(plan, name, True).evaluation
    arms, inputs = _judged(plan, name, tuple(evaluation.scales), seed)
    params = {"arms": arms, "manifold_k": evaluation.manifold_k, "seed": seed}
    about = f"{name}: measured {at_scales(evaluation.scales)}, seed {seed}"
    return plan.add(Artefact("point_measures", inputs["samples"].label, params, inputs, about))


def _experiment(plan: "Plan", name: str, exact: bool) -> Experiment:
    """The experiment, if the closed form judges it, or does not. StudyError: a table did not check that."""
    experiment = plan.study.experiments[name]
    if experiment.exact != exact:
        wanted, found = ("point_measures", "measures") if exact else ("measures", "point_measures")
        raise StudyError(
            f"a table or figure asks for {wanted} of experiment '{name}', which has {found} since its evaluator is"
            f" {experiment.evaluator!r}; its check() must refuse such an experiment"
        )
    return experiment


def _judged(plan: "Plan", name: str, scales: tuple[float, ...], seed: int) -> tuple[list[dict], dict[str, Artefact]]:
    """The arms of an experiment as recipe parameters; generations before and after, real data, arms' spaces."""
    experiment = plan.study.experiments[name]
    samples = plan.evaluated(name, scales, seed)
    dataset = plan.dataset(plan.study.models[experiment.model].dataset)
    arms, inputs = [], {"samples": samples, "dataset": dataset}
    for arm in experiment.arms:
        embedding, needs = within(plan, arm.space, seed, samples, dataset, f"/{arm.name}")
        arms.append({"name": arm.name, "embedding": embedding, "k": arm.k, "search": arm.search.plain()})
        inputs[f"postprocessed/{arm.name}"] = plan.postprocessed(name, arm, scales, seed)
        inputs |= needs
    return arms, inputs


def cost(plan: "Plan", name: str, arm: Arm, scale: float, batches: list[int], seed: int) -> Artefact:
    """What generations of an experiment, and their postprocessing by an arm, cost by batch size."""
    samples, flow = plan.evaluated(name, (scale,), seed), plan.postprocessor(name, arm, scale, seed)
    solver = plan.study.postprocessors[arm.postprocessor].solver
    params = {
        "batches": batches,
        "scale": scale,
        **{key: samples.params[key] for key in ("guidance", "sampler", "classes", "seed")},
        "solver": solver.plain(),
    }
    inputs = samples.inputs | {"postprocessor": flow}
    label = f"{samples.label}-{flow.inputs['neighbours'].label}"
    about = f"{name}: seconds and memory {at_scales([scale])}, without and with {arm.name}, seed {seed}"
    return plan.add(Artefact("cost", label, params, inputs, about))
