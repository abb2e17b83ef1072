"""What is measured of an experiment: distances and the like, before and after postprocessing, and what it costs."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from guidance_study.config import seams
from guidance_study.config.experiments import Arm, Experiment
from guidance_study.config.study import Study
from guidance_study.plan.embedding import within
from guidance_study.plan.postprocessing import selector
from guidance_study.plan.recipes import Artefact, at_scales
from guidance_study.support.errors import StudyError
from guidance_study.support.params import Params
from guidance_study.support.text import shown

if TYPE_CHECKING:
    from guidance_study.plan.plan import Plan

Measured = tuple[str, float | str | None]  # (experiment, scale or None: all) or (trajectories, reference run)


def asked(study: Study) -> dict[Measured, set[str]]:
    """Names of metrics that tables and figures ask for, by what they are of."""
    found: dict[Measured, set[str]] = defaultdict(set)
    for target in study.targets.values():
        for key, names in target.asks(study):
            found[key].update(names)
    return found


def measures(plan: "Plan", name: str, scale: float | None, seed: int) -> Artefact:
    """What tables ask for of an experiment at a scale, or where the closed form judges at all of them (None)."""
    experiment = _experiment(plan, name, scale is None)
    evaluation, exact = experiment.evaluation, experiment.exact
    scales = tuple(evaluation.scales) if scale is None else (scale,)
    samples = plan.evaluated(name, scales, seed)
    dataset = plan.dataset(plan.study.models[experiment.model].dataset, seed)
    arms, inputs = [], {"samples": samples, "dataset": dataset}
    for arm in experiment.arms:
        embedding, needs = within(plan, arm.space, seed, samples, dataset, f"/{arm.name}")
        arms.append({**arm.settings, "embedding": embedding})
        inputs |= {f"postprocessed/{arm.name}": plan.postprocessed(name, arm, scales, seed), **needs}
        if evaluation.real and arm.moves is None:
            moved = [plan.real_postprocessed(name, arm, s, seed) for s in samples.params["scales"]]
            inputs |= {f"real/{arm.name}/{i}": artefact for i, artefact in enumerate(moved)}
        if arm.moves is not None and (chooses := selector(plan, name, arm, seed)) is not None:
            inputs["selector"] = chooses
    if not exact:
        inputs |= _seen(plan, experiment, inputs, seed)
    guide, subject = samples.inputs.get("classifier"), "points" if exact else "images"
    params = {
        "of": subject,
        "metrics": _metrics(plan, subject, (name, scale), {**evaluation.plain(), "seed": seed}),
        "guidance": samples.params["guidance"] | ({"classifier": guide.params["network"]["kind"]} if guide else {}),
        "arms": arms,
        "repeats": evaluation.repeats,
        "spaces": evaluation.spaces,
        "judges": experiment.judges,
        "real": evaluation.real,
        "seed": seed,
    }
    about = f"{name}: measured {at_scales(scales)}, seed {seed}"
    return plan.add(Artefact("measures", samples.label, params, inputs, about))


def sources_of(
    plan: "Plan", asks: Iterable[tuple[Measured, list[str]]], seeds: list[int]
) -> tuple[dict[str, Artefact], dict[str, Any]]:
    """The measures of all that is asked for, by role, of these seeds; and `sources`: their roles, of what, seed."""
    inputs: dict[str, Artefact] = {}
    sources: list[Params] = []
    for name, at in dict.fromkeys(key for key, _ in asks):
        for seed in seeds:
            role = f"{name}/{at if at is None or isinstance(at, str) else shown(at)}/{seed}"
            source: Params = {"role": role, "of": name, "seed": seed}
            if name in plan.study.trajectories:
                inputs[role] = trajectory_measures(plan, name, str(at), seed)
                source["reference_run"] = at
            else:
                inputs[role] = measures(plan, name, None if at is None else float(at), seed)
            sources.append(source)
    return inputs, {"sources": sources}


def trajectory_measures(plan: "Plan", name: str, reference: str, seed: int) -> Artefact:
    """What tables with this reference run ask for of an entry of `trajectories`."""
    trajectories = plan.trajectories(name, seed)
    params = {
        "of": "trajectories",
        "metrics": _metrics(plan, "trajectories", (name, reference), {"reference": reference}),
    }
    inputs = {"trajectories": trajectories, "dataset": trajectories.inputs["dataset"]}
    return plan.add(
        Artefact("measures", trajectories.label, params, inputs, f"{name}: measured beside {reference}, seed {seed}")
    )


def _metrics(plan: "Plan", subject: str, of: Measured, given: Params) -> list[Params]:
    """The metrics that tables ask for of a set, as recipe parameters."""
    metrics = [metric for metric in seams.kinds("metrics").values() if subject in metric.of]
    return [m.recipe(given) for m in metrics if any(column.name in plan.asked[of] for column in m.columns)]


def _seen(plan: "Plan", experiment: Experiment, sets: dict[str, Artefact], seed: int) -> dict[str, Artefact]:
    """What sets of images are seen with: the evaluator, and features in every space of the evaluation."""
    judge = experiment.evaluator
    found = {} if judge is None else {"evaluator": plan.classifier(judge, seed)}
    found |= {f"judge/{other}": plan.classifier(other, seed) for other in experiment.judges}
    generated = {"before": sets["samples"]} | {a.name: sets[f"postprocessed/{a.name}"] for a in experiment.arms}
    for space in experiment.evaluation.spaces:
        for part in ("train", "held_out"):
            found[f"seen/{space}/{part}"] = real = plan.features(sets["dataset"], space, part)
            found[f"statistics/{space}/{part}"] = plan.statistics(real)
        found |= {f"seen/{space}/{of}": plan.features(images, space, "samples") for of, images in generated.items()}
    return found


def _experiment(plan: "Plan", name: str, exact: bool) -> Experiment:
    """The experiment, if the closed form judges it, or does not. StudyError: a table did not check that."""
    experiment = plan.study.experiments[name]
    if experiment.exact != exact:
        asks, found = ("all scales together", "each scale") if exact else ("one scale", "all scales together")
        raise StudyError(
            f"a table or figure asks for measures of experiment '{name}' at {asks}, which has them of {found} since its"
            f" evaluator is {experiment.evaluator!r}; its check() must refuse such an experiment"
        )
    return experiment


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
