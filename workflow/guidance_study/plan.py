"""The plan: configuration -> recipes -> graph. Plain typed Python; every cluster job parses it again."""

from functools import cache

from guidance_study.config.experiments import Arm, Experiment
from guidance_study.config.study import Study
from guidance_study.recipes import Artefact, shown


class Plan:
    """All artefacts of a study: `targets` by name (tables, figures), `artefacts` by address."""

    def __init__(self, study: Study):
        self.study = study
        self.artefacts: dict[str, Artefact] = {}
        self._raw: dict = {}  # address of a dataset -> its Spec
        for name in ("dataset", "denoiser", "classifier", "samples", "neighbours", "postprocessor"):
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
        listed = "-".join(map(shown, scales)) if len(scales) <= 5 else f"{len(scales)}scales"
        label = f"{experiment.guidance.short}-{listed}-{purpose}-s{seed}"
        about = f"{name}: {n} generations at scale {', '.join(map(shown, scales))} ({purpose}), seed {seed}"
        return self._add("samples", label, params, inputs, about)

    def pool(self, name: str, arm: Arm, scale: float, seed: int) -> Artefact:
        pool = self.study.experiments[name].pool
        scales = (scale,) if arm.train_on == "own_scale" else tuple(pool.scales)
        return self.samples(name, seed, scales, pool.n, "pool")

    def evaluated(self, name: str, scale: float, seed: int) -> Artefact:
        evaluation = self.study.experiments[name].evaluation
        return self.samples(name, seed, (scale,), evaluation.blocks * evaluation.block_size, "evaluation")

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

    def postprocessor(self, name: str, seed: int, neighbours: Artefact, pool: Artefact) -> Artefact:
        spec = self.study.postprocessors[name]
        params = {
            "network": self._plain("networks", spec.network),
            "shape": pool.inputs["denoiser"].params["shape"],
            "rows": pool.params["classes"],
            "training": spec.training.plain(),
            "seed": seed,
        }
        inputs = {"samples": pool, "dataset": neighbours.inputs["dataset"], "neighbours": neighbours}
        label = f"{params['network']['kind']}-{neighbours.label}-s{seed}"
        return self._add("postprocessor", label, params, inputs, f"postprocessor {name}, seed {seed}: {pool.about}")

    def postprocessed(self, name: str, arm: Arm, scale: float, seed: int) -> Artefact:
        """The evaluated generations of an experiment after one arm's flow (Eq. 9)."""
        dataset = self.study.models[self.study.experiments[name].model].dataset
        pool, samples = self.pool(name, arm, scale, seed), self.evaluated(name, scale, seed)
        neighbours = self.neighbours(pool, dataset, arm.space, arm.k, seed)
        inputs = {
            "postprocessor": self.postprocessor(arm.postprocessor, seed, neighbours, pool),
            "samples": samples,
        }
        params = {"solver": self.study.postprocessors[arm.postprocessor].solver.plain()}
        about = f"{name}: after {arm.name}, scale {shown(scale)}, seed {seed}"
        return self._add("postprocessed", f"{samples.label}-{neighbours.label}", params, inputs, about)

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

    def _table(self, name: str) -> Artefact:
        table = self.study.tables[name]
        inputs, sources = {}, []
        for key in table.experiments:
            experiment = self.study.experiments[key]
            for scale in table.scales or experiment.evaluation.scales:
                for seed in self.study.seeds:
                    role = f"{key}/{shown(scale)}/{seed}"
                    inputs[role] = self.measures(key, scale, seed)
                    sources.append({"role": role, "experiment": key, "scale": scale, "seed": seed})
        params = {
            "name": name,
            "spec": table.plain(),
            "sources": sources,
            "settings": self._settings(table),
        }
        return self._add("table", name, params, inputs, f"table {name}")

    def _settings(self, table) -> dict:
        """What a table says of the experiments behind it, and nothing that it does not say."""
        settings = {}
        for key in table.experiments:
            experiment: Experiment = self.study.experiments[key]
            model, evaluation = self.study.models[experiment.model], experiment.evaluation
            arms = [arm for arm in experiment.arms if table.arms is None or arm.name in table.arms]
            flows = {arm.postprocessor: self.study.postprocessors[arm.postprocessor] for arm in arms}
            settings[key] = {
                "guidance": experiment.guidance.title,
                "network": self._plain("networks", model.network)["kind"],
                "training": model.training.plain(),
                "sampler": experiment.sampler.plain(),
                "pool": experiment.pool.plain(),
                "arms": {arm.name: {"space": arm.space, "k": arm.k, "train_on": arm.train_on} for arm in arms},
                "flows": [{"steps": f.training.steps, "solver": f.solver.plain()} for f in flows.values()],
                "manifold_k": evaluation.manifold_k,
                "copy_quantile": evaluation.copy_quantile,
            }
        return settings

    def _figure(self, name: str) -> Artefact:
        figure = self.study.figures[name]
        titles = {key: self.study.experiments[key].guidance.title for key in figure.experiments}
        params = {"name": name, "spec": figure.plain(), "guidance": titles}
        return self._add("figure", name, params, figure.needs(self), f"figure {name}")
