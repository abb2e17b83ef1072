"""Checks of guidance, in experiments and in runs of trajectories: what a rule needs of its models, scales and sampler.

Each raises ValueError with one sentence.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from guidance_study.config.check_parts import same_dataset
from guidance_study.config.experiments import Experiment
from guidance_study.config.sentences import distinct, known
from guidance_study.config.training import Model
from guidance_study.config.trajectories import EXACT, Run, TrajectoryRuns

if TYPE_CHECKING:
    from guidance_study.config.study import Study


def of_experiment(at: str, experiment: Experiment, study: "Study") -> None:
    """The guidance of the experiment at key `at`, whose model is known."""
    guidance, model, here = experiment.guidance, study.models[experiment.model], f"{at}.guidance"
    scales = {*experiment.evaluation.scales, *(experiment.pool.scales if experiment.arms else [])}
    _takes(f"{here}.kind", guidance, experiment.model, study, scales)
    for part in ("pool", "evaluation"):
        _scales(f"{at}.{part}.scales", guidance, getattr(experiment, part).scales)
    _sampled(here, guidance, f"{at}.sampler", experiment.sampler)
    if experiment.sampler.learned_variance and not study.networks[model.network].learned_variance:
        raise ValueError(
            f"configuration key '{at}.sampler' asks for a learned variance: the network of model '{experiment.model}',"
            f" '{model.network}', has none (learn_sigma)"
        )
    for role, section in guidance.roles.items():
        there, name, declared = f"{here}.{role}", getattr(guidance, role), getattr(study, section)
        if name not in declared:
            known(there, name, [key for key, part in declared.items() if part.process == model.process])
        same_dataset(there, name, declared, model)
        _noise_of(there, name, declared, model.process)
        _told(there, guidance, name, study.models.get(name) if section == "models" else None)


def of_run(at: str, run: Run, above: str, trajectories: TrajectoryRuns, study: "Study") -> None:
    """The run at key `at` of the trajectories at key `above`, whose parts are known."""
    guidance, here, parts, sampler = run.guidance, f"{at}.guidance", trajectories.parts, trajectories.sampler
    distinct(f"{at}.scales", run.scales)
    _scales(f"{at}.scales", guidance, run.scales)
    if run.steps:
        sampler = sampler.model_copy(update={"steps": run.steps})
        sampler.check(at, trajectories.process, study.processes[trajectories.process])
    known(f"{at}.eps", run.eps, [*(role for role, part in parts.items() if part in study.models), EXACT])
    if run.eps == EXACT and guidance.vectors:
        raise ValueError(
            f"configuration key '{here}.kind' has the value '{guidance.kind}': it changes what a network is told of its"
            f" class, and '{EXACT}' is none"
        )
    if run.eps != EXACT:
        _takes(f"{here}.kind", guidance, parts[run.eps], study, run.scales)
    _sampled(here, guidance, f"{above}.sampler", sampler)
    for role, section in guidance.roles.items():
        declared, name = getattr(study, section), getattr(guidance, role)
        known(f"{here}.{role}", name, [*(other for other, part in parts.items() if part in declared), EXACT])
        guide = study.models.get(parts[name]) if section == "models" and name != EXACT else None
        _told(f"{here}.{role}", guidance, name, guide)


def _takes(at: str, guidance: Any, name: str, study: "Study", scales: Collection[float]) -> None:
    """The rule's base model is conditional, or is not, and knows "no class" where some scale asks for it."""
    model = study.models[name]
    unguided = guidance.unguided_at_1 and set(scales) == {1}
    dropped = guidance.conditional and guidance.class_free and not unguided
    if model.conditional == guidance.conditional and (model.dropout > 0 or not dropped):
        return
    if dropped and model.conditional and model.weights is not None and model.class_dropout is None:
        raise ValueError(
            f"configuration key '{at}' has the value '{guidance.kind}': nothing says that the weights of model '{name}'"
            " were trained with the class dropped at times, as this guidance needs; if they were, set"
            f" models.{name}.class_dropout"
        )
    needed = "conditional" if guidance.conditional else "unconditional"
    needed += " with a class_dropout above 0" if dropped else ""
    raise ValueError(f"configuration key '{at}' has the value '{guidance.kind}': model '{name}' must be {needed}")


def _told(at: str, guidance: Any, name: str, part: Model | None) -> None:
    """A further model of a rule is told the class where the model that is guided is."""
    if part is not None and guidance.conditional and not part.conditional:
        raise ValueError(
            f"configuration key '{at}' has the value '{name}': it must be a conditional model, as the one that guidance"
            f" '{guidance.kind}' guides"
        )


def _scales(at: str, guidance: Any, scales: list[float]) -> None:
    """Some rules have a largest scale."""
    for i, scale in enumerate(scales):
        if scale > guidance.largest:
            raise ValueError(
                f"configuration key '{at}[{i}]' has the value {scale:g}: at most {guidance.largest:g}, with guidance"
                f" '{guidance.kind}'"
            )


def _sampled(at: str, guidance: Any, there: str, sampler: Any) -> None:
    """The rule at key `at` is for the sampler at key `there`."""
    if (unfit := guidance.unfit(sampler)) is not None:
        key, needed = unfit
        raise ValueError(
            f"configuration key '{there}.{key}' has the value '{getattr(sampler, key)}': '{at}' of kind"
            f" '{guidance.kind}' needs {needed}"
        )


def _noise_of(at: str, name: str, declared: dict[str, Any], process: str) -> None:
    if declared[name].process != process:
        raise ValueError(
            f"configuration key '{at}' has the value '{name}': it must be trained on"
            f" noise of the model's process, '{process}'"
        )
