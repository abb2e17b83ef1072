"""The plan: configuration -> recipes -> graph. Plain typed Python; every cluster job parses it again."""

from functools import cache

from guidance_study.config.experiments import Arm
from guidance_study.config.study import Study
from guidance_study.recipes import Artefact, shown


class Plan:
    """All artefacts of a study: `targets` by name (tables, figures), `artefacts` by address."""

    def __init__(self, study: Study):
        self.study = study
        self.artefacts: dict[str, Artefact] = {}
        self._raw: dict = {}  # address of a dataset -> its Spec
        for name in ("dataset", "denoiser", "classifier", "samples", "neighbours", "postprocessor", "paths"):
            setattr(self, name, cache(getattr(self, name)))  # one call a node: thousands of scales share bases
        self._plain = cache(lambda section, name: getattr(study, section)[name].plain())
        self._facts = cache(lambda name: study.datasets[name].facts())
        self.targets = {name: self._table(name) for name in study.tables}
        self.targets |= {name: self._figure(name) for name in study.figures}

    def at(self, address: str) -> Artefact:
        """The artefact at an address; KeyError with one sentence if the configuration does not lead to it."""
        try:
            return self.artefacts[address]
        except KeyError:
            raise KeyError(f"no table or figure of this configuration needs an artefact '{address}'") from None

    def ancestors(self, targets: list[str]) -> list[Artefact]:
        """Everything that the named targets are made of, each once, in an order in which it can be built."""
        found: dict[str, Artefact] = {}
        for name in targets:
            for artefact in self.targets[name].ancestors():
                found.setdefault(artefact.address, artefact)
        return list(found.values())

    def missing(self, dataset: Artefact) -> str | None:
        """What a dataset's raw files lack, with the remedy; None if they are there."""
        return self._raw[dataset.address].missing()

    def _add(self, stage: str, label: str, params: dict, inputs: dict[str, Artefact], about: str) -> Artefact:
        artefact = Artefact(stage, label, params, inputs, about)
        return self.artefacts.setdefault(artefact.address, artefact)  # the first name given to a recipe stays

    def dataset(self, name: str) -> Artefact:
        spec = self.study.datasets[name]
        params = {**self._plain("datasets", name), "raw": self._facts(name).raw}
        artefact = self._add("dataset", spec.kind, params, {}, f"dataset {name}")
        self._raw[artefact.address] = spec
        return artefact

    def denoiser(self, name: str, seed: int) -> Artefact:
        model = self.study.models[name]
        data = self._facts(model.dataset)
        dropout = model.class_dropout if model.conditional else None
        params = {
            "process": self._plain("processes", model.process),
            "network": self._plain("networks", model.network),
            "shape": list(data.shape),
            "rows": data.classes + (dropout > 0) if model.conditional else 0,  # one more for "no class"
            "class_dropout": dropout,
            "training": model.training.plain(),
            "seed": seed,
        }
        kind = "conditional" if model.conditional else "unconditional"
        label = f"{params['network']['kind']}-{kind}-s{seed}"
        return self._add(
            "denoiser", label, params, {"dataset": self.dataset(model.dataset)}, f"model {name}, seed {seed}"
        )

    def classifier(self, name: str, seed: int) -> Artefact:
        spec = self.study.classifiers[name]
        data = self._facts(spec.dataset)
        seed = seed if spec.seed is None else spec.seed
        params = {
            "process": self._plain("processes", spec.process) if spec.process else None,
            "network": spec.network.plain(),
            "shape": list(data.shape),
            "classes": data.classes,
            "training": spec.training.plain(),
            "seed": seed,
        }
        label = f"{spec.network.kind}-{'noisy' if spec.process else 'clean'}-s{seed}"
        return self._add(
            "classifier",
            label,
            params,
            {"dataset": self.dataset(spec.dataset)},
            f"classifier {name}, seed {seed}",
        )

    def samples(self, name: str, seed: int, scales: tuple[float, ...], n: int, purpose: str) -> Artefact:
        experiment = self.study.experiments[name]
        model = self.study.models[experiment.model]
        guidance = experiment.guidance.plain()
        inputs = {"denoiser": self.denoiser(experiment.model, seed)}
        if "classifier" in guidance:  # the network itself goes into the recipe, not its name here
            inputs["classifier"] = self.classifier(guidance.pop("classifier"), seed)
        params = {
            "guidance": guidance,
            "sampler": experiment.sampler.plain(),
            "scales": list(scales),
            "n": n,
            "classes": self._facts(model.dataset).classes,
            "purpose": purpose,
            "seed": seed,
        }
        label = f"{experiment.guidance.short}-{_listed(scales)}-{purpose}-s{seed}"
        about = f"{name}: {n} generations at scale {', '.join(map(shown, scales))} ({purpose}), seed {seed}"
        return self._add("samples", label, params, inputs, about)

    def pool(self, name: str, arm: Arm, scale: float, seed: int) -> Artefact:
        """Generations that an arm's flow learns from; judged by the closed form, one artefact for all flows."""
        experiment = self.study.experiments[name]
        pool = experiment.pool
        if experiment.exact:
            scales = list(pool.scales)
            if any(other.train_on == "own_scale" for other in experiment.arms):
                scales += [s for s in experiment.evaluation.scales if s not in scales]
            return self.samples(name, seed, tuple(scales), pool.n * len(scales), "pool")
        return self.samples(name, seed, self._learns_from(name, arm, scale), pool.n, "pool")

    def _learns_from(self, name: str, arm: Arm, scale: float) -> tuple[float, ...]:
        """The scales whose generations the flow of an arm, applied at `scale`, learns from."""
        return (scale,) if arm.train_on == "own_scale" else tuple(self.study.experiments[name].pool.scales)

    def evaluated(self, name: str, scale: float, seed: int) -> Artefact:
        """The generations that are measured at a scale; judged by the closed form, at all scales."""
        experiment = self.study.experiments[name]
        evaluation = experiment.evaluation
        scales = tuple(evaluation.scales) if experiment.exact else (scale,)
        n = evaluation.blocks * evaluation.block_size * len(scales)
        return self.samples(name, seed, scales, n, "evaluation")

    def _embedding(self, space: str, seed: int) -> tuple[dict, dict[str, Artefact]]:
        """An embedding as recipe parameters, and the network it needs, if any, as inputs."""
        params = self._plain("embeddings", space)
        if "classifier" not in params:
            return params, {}
        rest = {key: value for key, value in params.items() if key != "classifier"}
        return rest, {"embedder": self.classifier(params["classifier"], seed)}

    def neighbours(self, samples: Artefact, dataset: str, space: str, k: int, seed: int) -> Artefact:
        embedding, inputs = self._embedding(space, seed)
        inputs = {"samples": samples, "dataset": self.dataset(dataset), **inputs}
        about = f"{k} nearest neighbours in {space} of [{samples.about}]"
        return self._add("neighbours", f"{embedding['kind']}-k{k}", {"embedding": embedding, "k": k}, inputs, about)

    def postprocessor(self, name: str, arm: Arm, scale: float, seed: int) -> Artefact:
        """The flow (Eq. 9) that an arm of experiment `name` applies at `scale`."""
        experiment, spec = self.study.experiments[name], self.study.postprocessors[arm.postprocessor]
        pool, scales = self.pool(name, arm, scale, seed), self._learns_from(name, arm, scale)
        dataset = self.study.models[experiment.model].dataset
        neighbours = self.neighbours(pool, dataset, arm.space, arm.k, seed)
        params = {
            "network": self._plain("networks", spec.network),
            "shape": pool.inputs["denoiser"].params["shape"],
            "rows": pool.params["classes"],
            "scales": list(scales),
            "n": experiment.pool.n,
            "training": spec.training.plain(),
            "seed": seed,
        }
        inputs = {"samples": pool, "dataset": neighbours.inputs["dataset"], "neighbours": neighbours}
        label = f"{params['network']['kind']}-{_listed(scales)}-{neighbours.label}-s{seed}"
        about = f"postprocessor {arm.postprocessor}, seed {seed}: {pool.about}"
        return self._add("postprocessor", label, params, inputs, about)

    def postprocessed(self, name: str, arm: Arm, scale: float, seed: int) -> Artefact:
        """The evaluated generations of an experiment after one arm's flow, or flows (Eq. 9)."""
        samples = self.evaluated(name, scale, seed)
        flows = {s: self.postprocessor(name, arm, s, seed) for s in samples.params["scales"]}
        roles = {flow.address: f"postprocessor/{i}" for i, flow in enumerate(dict.fromkeys(flows.values()))}
        inputs = {"samples": samples} | {roles[flow.address]: flow for flow in flows.values()}
        params = {
            "solver": self.study.postprocessors[arm.postprocessor].solver.plain(),
            "flows": [roles[flow.address] for flow in flows.values()],  # of each scale of the samples
        }
        about = f"{name}: after {arm.name}, scale {_listed(flows, ', ')}, seed {seed}"
        label = f"{samples.label}-{next(iter(flows.values())).inputs['neighbours'].label}"
        return self._add("postprocessed", label, params, inputs, about)

    def measures(self, name: str, scale: float, seed: int) -> Artefact:
        experiment = self.study.experiments[name]
        samples = self.evaluated(name, scale, seed)
        inputs = {
            "samples": samples,
            "dataset": self.dataset(self.study.models[experiment.model].dataset),
            "evaluator": self.classifier(experiment.evaluator, seed),
        }
        arms = []
        for arm in experiment.arms:
            embedding, needs = self._embedding(arm.space, seed)
            arms.append({"name": arm.name, "embedding": embedding, "k": arm.k})
            inputs[f"postprocessed/{arm.name}"] = self.postprocessed(name, arm, scale, seed)
            inputs |= {f"embedder/{arm.name}": network for network in needs.values()}
        evaluation = experiment.evaluation
        params = {
            "arms": arms,
            "blocks": evaluation.blocks,
            "manifold_k": evaluation.manifold_k,
            "copy_quantile": evaluation.copy_quantile,
            "seed": seed,
        }
        return self._add(
            "measures", samples.label, params, inputs, f"{name}: measures, scale {shown(scale)}, seed {seed}"
        )

    def point_measures(self, name: str, seed: int) -> Artefact:
        """All measures of an experiment that the closed form judges: every scale, before, after and retrieved."""
        experiment = self.study.experiments[name]
        first = experiment.evaluation.scales[0]
        samples = self.evaluated(name, first, seed)
        arms, inputs = [], {"samples": samples, "dataset": self.dataset(self.study.models[experiment.model].dataset)}
        for arm in experiment.arms:
            embedding, needs = self._embedding(arm.space, seed)
            arms.append({"name": arm.name, "embedding": embedding, "k": arm.k})
            inputs[f"postprocessed/{arm.name}"] = self.postprocessed(name, arm, first, seed)
            inputs |= {f"embedder/{arm.name}": network for network in needs.values()}
        params = {"arms": arms, "manifold_k": experiment.evaluation.manifold_k, "seed": seed}
        return self._add("point_measures", samples.label, params, inputs, f"{name}: measures, seed {seed}")

    def paths(self, name: str, seed: int) -> Artefact:
        """Trajectories of all runs of an entry of `paths`."""
        spec = self.study.paths[name]
        used = {run.eps for run in spec.runs.values()}
        used |= {run.guidance.classifier for run in spec.runs.values() if hasattr(run.guidance, "classifier")}
        inputs = {"dataset": self.dataset(spec.dataset)}
        for role, part in spec.parts.items():
            if role in used:
                model = part in self.study.models
                inputs[f"part/{role}"] = self.denoiser(part, seed) if model else self.classifier(part, seed)
        params = {
            "process": self._plain("processes", spec.process),
            "sampler": spec.sampler.plain(),
            "runs": [{"name": key, **run.plain()} for key, run in spec.runs.items()],
            "n": spec.n,
            "shape": list(self._facts(spec.dataset).shape),
            "classes": self._facts(spec.dataset).classes,
            "seed": seed,
        }
        label = f"{self.study.datasets[spec.dataset].kind}-{len(spec.runs)}runs-s{seed}"
        return self._add("paths", label, params, inputs, f"paths {name}, seed {seed}")

    def _table(self, name: str) -> Artefact:
        table = self.study.tables[name]
        inputs, said = table.needs(self)
        return self._add("table", name, {"name": name, "spec": table.plain(), **said}, inputs, f"table {name}")

    def _figure(self, name: str) -> Artefact:
        figure = self.study.figures[name]
        inputs, said = figure.needs(self)
        return self._add("figure", name, {"name": name, "spec": figure.plain(), **said}, inputs, f"figure {name}")


def _listed(scales, between: str = "-") -> str:
    return between.join(map(shown, scales)) if len(scales) <= 5 else f"{len(scales)}scales"
