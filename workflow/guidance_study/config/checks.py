"""Checks across the parts of a configuration: names that must exist, and sizes that must fit."""

from itertools import combinations
from typing import TYPE_CHECKING, Any

from guidance_study.config.check_guidance import of_experiment, of_run
from guidance_study.config.check_parts import clean, discrete, fits, not_exact, parts, same_dataset
from guidance_study.config.experiments import Evaluation, Experiment
from guidance_study.config.facts import Facts
from guidance_study.config.seams import kinds
from guidance_study.config.sentences import distinct, known
from guidance_study.config.stages import STAGES
from guidance_study.config.training import Model
from guidance_study.config.trajectories import EXACT, TrajectoryRuns

if TYPE_CHECKING:
    from guidance_study.config.study import Study


def check(study: "Study") -> None:
    """Raise ValueError, one sentence with key, value and what is allowed, at the first inconsistency."""
    distinct("seeds", study.seeds)
    parts(study)
    for name, postprocessor in study.postprocessors.items():
        known(f"postprocessors.{name}.network", postprocessor.network, study.networks)
    for name, experiment in study.experiments.items():
        _experiment(f"experiments.{name}", experiment, study)
    for name, trajectories in study.trajectories.items():
        _trajectories(f"trajectories.{name}", trajectories, study)
    _outputs(study)


def _experiment(at: str, experiment: Experiment, study: "Study") -> None:
    known(f"{at}.model", experiment.model, study.models)
    model = study.models[experiment.model]
    of_experiment(at, experiment, study)
    _sampler(f"{at}.sampler", experiment.sampler, model.process, study)
    _evaluator(f"{at}.evaluator", experiment, model, study)
    distinct(f"{at}.pool.scales", experiment.pool.scales)
    fewest = len(experiment.pool.scales) * study.datasets[model.dataset].parts().classes
    if experiment.pool.n < fewest:
        raise ValueError(
            f"configuration key '{at}.pool.n' has the value {experiment.pool.n}: at least {fewest}, one of every class"
            " at every scale"
        )
    distinct(f"{at}.evaluation.scales", experiment.evaluation.scales)
    if experiment.evaluation.per_class and not experiment.exact:
        facts = study.datasets[model.dataset].parts()
        least = min(*facts.train_counts, *facts.held_out_counts, experiment.evaluation.n // facts.classes)
        if least < 2:
            raise ValueError(
                f"configuration key '{at}.evaluation.per_class' has the value True: a class has {least} images in a"
                " repeat or a part of the data, and a Fréchet distance needs 2"
            )
    smallest = min(study.datasets[model.dataset].parts().train_counts)
    for i, arm in enumerate(experiment.arms):
        here = f"{at}.arms[{i}]"
        known(f"{here}.space", arm.space, study.embeddings)
        known(f"{here}.postprocessor", arm.postprocessor, study.postprocessors)
        network = study.postprocessors[arm.postprocessor].network
        fits(f"postprocessors.{arm.postprocessor}.network", network, study.networks[network], model.dataset, study)
        most, why = smallest, ""
        if arm.targets.endswith("boundary"):
            most, why = smallest // 2, f" halved, since {arm.targets} chooses from pairs"
        if arm.k > most:
            raise ValueError(
                f"configuration key '{here}.k' has the value {arm.k}: at most {most}, the training samples of the"
                f" smallest class of dataset '{model.dataset}'{why}"
            )
        embedding = study.embeddings[arm.space]
        if experiment.exact and embedding.stored:
            raise ValueError(
                f"configuration key '{here}.space' has the value '{arm.space}': features of a pretrained network are of"
                " images, and the closed form judges points"
            )
        if hasattr(embedding, "classifier"):
            same_dataset(f"embeddings.{arm.space}.classifier", embedding.classifier, study.classifiers, model)
            for judge in [] if experiment.exact else [experiment.evaluator, *experiment.judges]:
                if _same_network(embedding.classifier, judge, study):
                    raise ValueError(
                        f"configuration key '{here}.space' has the value '{arm.space}': its features come from the"
                        f" network that evaluates, '{judge}'; use another classifier for one of the two"
                    )
        if arm.margins and not experiment.exact and experiment.selector is None:
            raise ValueError(
                f"configuration key '{at}.selector' has the value None: arm '{arm.name}' chooses by margins, so it"
                " needs the name of a clean classifier that judges nothing"
            )


def _evaluator(at: str, experiment: Experiment, model: Model, study: "Study") -> None:
    if experiment.exact:
        _mixture(at, EXACT, model.dataset, study)
        _judged_exactly(at.removesuffix("evaluator"), experiment.evaluation, study.datasets[model.dataset].parts())
        return
    _judges(at.removesuffix(".evaluator"), experiment, model, study)
    spaces = experiment.evaluation.spaces
    distinct(at.replace("evaluator", "evaluation.spaces"), spaces)
    for i, space in enumerate(spaces):
        known(f"{at.replace('evaluator', 'evaluation.spaces')}[{i}]", space, _stored(study))


def _judges(at: str, experiment: Experiment, model: Model, study: "Study") -> None:
    """Further judges and the selector: clean classifiers of the model's data, no two of them one network."""
    distinct(f"{at}.judges", experiment.judges)
    named = {f"{at}.evaluator": experiment.evaluator, f"{at}.selector": experiment.selector}
    named |= {f"{at}.judges[{i}]": name for i, name in enumerate(experiment.judges)}
    seen: dict[str, str] = {}
    for key, name in named.items():
        if name is None:
            continue
        known(key, name, [*study.classifiers, EXACT] if key.endswith("evaluator") else study.classifiers)
        clean(key, name, study)
        same_dataset(key, name, study.classifiers, model)
        if name in experiment.evaluation.spaces:
            raise ValueError(f"configuration key '{key}' has the value '{name}', which is a name in evaluation.spaces")
        for other, one in seen.items():
            if _same_network(name, one, study):
                raise ValueError(f"configuration key '{key}' has the value '{name}': it is the network of '{other}'")
        seen[key] = name


def _stored(study: "Study") -> list[str]:
    """Names of the spaces of pretrained networks."""
    return [name for name, embedding in study.embeddings.items() if embedding.stored]


def _judged_exactly(at: str, evaluation: Evaluation, facts: Facts) -> None:
    """Points are measured in one block, with enough of each class for a ball's radius."""
    if evaluation.repeats != 1:
        raise ValueError(
            f"configuration key '{at}evaluation.repeats' has the value {evaluation.repeats}: 1, where the evaluator is"
            f" '{EXACT}'"
        )
    fewest = min(evaluation.n // facts.classes, *facts.held_out_counts)
    if evaluation.manifold_k >= fewest:
        raise ValueError(
            f"configuration key '{at}evaluation.manifold_k' has the value {evaluation.manifold_k}: below {fewest}, the"
            " fewest generations or held-out points of a class"
        )


def _sampler(at: str, sampler: Any, process: str, study: "Study", *needed: str) -> None:
    """It is written for the process, and has what is needed of it."""
    spec = study.processes[process]
    fitting = [
        kind
        for kind, found in kinds("processes.samplers").items()
        if isinstance(spec, found.fits) and all(hasattr(found, name) for name in needed)
    ]
    known(f"{at}.kind", sampler.kind, fitting)
    sampler.check(at, process, spec)


def _trajectories(at: str, trajectories: TrajectoryRuns, study: "Study") -> None:
    known(f"{at}.dataset", trajectories.dataset, study.datasets)
    _mixture(f"{at}.dataset", trajectories.dataset, trajectories.dataset, study)
    known(f"{at}.process", trajectories.process, discrete(study))
    classes = study.datasets[trajectories.dataset].parts().classes
    if trajectories.n < classes:
        raise ValueError(
            f"configuration key '{at}.n' has the value {trajectories.n}: at least {classes}, one of every class"
        )
    _sampler(f"{at}.sampler", trajectories.sampler, trajectories.process, study, "path")
    if trajectories.sampler.learned_variance:
        raise ValueError(f"configuration key '{at}.sampler' asks for a learned variance: exact models have none")
    for role, name in trajectories.parts.items():
        here = f"{at}.parts.{role}"
        not_exact(here, role)
        known(here, name, [*study.models, *study.classifiers])
        if name in study.models and name in study.classifiers:
            raise ValueError(f"the name '{name}' of '{here}' is a model's and a classifier's; rename one of them")
        part = study.models.get(name) or study.classifiers[name]
        for key in ("dataset", "process"):
            if getattr(part, key) != getattr(trajectories, key):
                raise ValueError(
                    f"configuration key '{here}' has the value '{name}': its {key} is '{getattr(part, key)}' and must"
                    f" be '{getattr(trajectories, key)}'"
                )
    for name, run in trajectories.runs.items():
        of_run(f"{at}.runs.{name}", run, at, trajectories, study)


def _mixture(at: str, value: str, dataset: str, study: "Study") -> None:
    if not hasattr(study.datasets[dataset], "mixture"):
        known_ones = ", ".join(n for n, d in study.datasets.items() if hasattr(d, "mixture")) or "none is declared"
        raise ValueError(
            f"configuration key '{at}' has the value '{value}': the mixture of dataset '{dataset}' is not known;"
            f" datasets with a known one: {known_ones}"
        )


def _outputs(study: "Study") -> None:
    sections = {"tables": study.tables, "figures": study.figures, "pages": study.pages}
    for (first, one), (second, other) in combinations(sections.items(), 2):
        for name in one.keys() & other.keys():
            both = f"a {first.removesuffix('s')} and a {second.removesuffix('s')}"
            raise ValueError(f"the name '{name}' is used twice, for {both}; rename one of them")
    for section, named in sections.items():
        for name, target in named.items():
            if name in STAGES or name in ("all", "download", "shard"):
                raise ValueError(f"the name '{name}' of a table, figure or page is taken by a rule; choose another")
            target.check(f"{section}.{name}", study)
    for i, name in enumerate(study.all):
        known(f"all[{i}]", name, list(study.targets))


def _same_network(one: str, other: str | None, study: "Study") -> bool:
    """Whether two classifiers are one network for some training seed; None is none."""
    if other is None:
        return False
    specs = [study.classifiers[name] for name in (one, other)]
    seeds = [{spec.seed} if spec.seed is not None else set(study.seeds) for spec in specs]
    first, second = (spec.model_copy(update={"seed": None}) for spec in specs)
    return first == second and bool(seeds[0] & seeds[1])
