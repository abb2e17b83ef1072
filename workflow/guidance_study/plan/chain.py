"""The chain from datasets to postprocessed generations, as recipes: which artefact is made from which."""

from functools import cache

from guidance_study.config.experiments import Arm, Search
from guidance_study.config.study import Study
from guidance_study.plan.recipes import Artefact
from guidance_study.support.text import shown


class Chain:
    """Artefacts of a study by address, made when they are asked for, each once."""

    def __init__(self, study: Study):
        self.study = study
        self.artefacts: dict[str, Artefact] = {}
        self._outside: dict = {}  # address -> a function that says what it lacks from outside, if anything
        for name in (
            "dataset",
            "denoiser",
            "classifier",
            "samples",
            "features",
            "neighbours",
            "postprocessor",
            "paths",
        ):
            setattr(self, name, cache(getattr(self, name)))  # one call a node: thousands of scales share bases
        self._plain = cache(lambda section, name: getattr(study, section)[name].plain())
        self._facts = cache(lambda name: study.datasets[name].facts())

    def _add(self, stage: str, label: str, params: dict, inputs: dict[str, Artefact], about: str) -> Artefact:
        artefact = Artefact(stage, label, params, inputs, about)
        return self.artefacts.setdefault(artefact.address, artefact)  # the first name given to a recipe stays

    def dataset(self, name: str) -> Artefact:
        spec = self.study.datasets[name]
        params = {**self._plain("datasets", name), "raw": self._facts(name).raw}
        artefact = self._add("dataset", spec.kind, params, {}, f"dataset {name}")
        self._outside[artefact.address] = spec.missing
        return artefact

    def denoiser(self, name: str, seed: int) -> Artefact:
        model = self.study.models[name]
        data = self._facts(model.dataset)
        dropout = model.class_dropout if model.conditional else None
        network = self._plain("networks", model.network)
        params = {
            "process": self._plain("processes", model.process),
            "network": network,
            "shape": list(data.shape),
            "rows": self._rows(model, data.classes),
            "class_dropout": dropout,
            "flip": model.flip,
            "augment": model.augment,
            "training": model.training.plain() if model.training else None,
            "weights": model.weights.plain() if model.weights else None,
            "seed": seed if model.training else 0,  # weights from outside are the same for every seed
        }
        kind = "conditional" if model.conditional else "unconditional"
        label = f"{network['kind']}-{kind}-" + (f"s{seed}" if model.training else "outside")
        inputs = {"dataset": self.dataset(model.dataset)} if model.training else {}
        artefact = self._add("denoiser", label, params, inputs, f"model {name}, seed {seed}")
        if model.weights:
            self._outside[artefact.address] = model.weights.file.missing
        return artefact

    def _rows(self, model, classes: int) -> int:
        """Class rows of a network: one more for "no class" where it may be asked for."""
        if not model.conditional:
            return 0
        return classes + (model.class_dropout > 0 or self.study.networks[model.network].kind == "song_unet")

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
        label = f"{experiment.guidance.short}-{listed(scales)}-{purpose}-s{seed}"
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

    def evaluated(self, name: str, scales: tuple[float, ...], seed: int) -> Artefact:
        """The generations that are measured at some scales; judged by the closed form, at all of them."""
        evaluation = self.study.experiments[name].evaluation
        if self.study.experiments[name].exact:
            scales = tuple(evaluation.scales)
        n = evaluation.blocks * evaluation.block_size * len(scales)
        return self.samples(name, seed, scales, n, "evaluation")

    def features(self, images: Artefact, space: str, part: str) -> Artefact:
        """Images of a pretrained network's space: `part` is train or held_out of a dataset, or samples."""
        spec = self.study.embeddings[space]
        params = {"embedding": self._plain("embeddings", space), "part": part}
        label = f"{spec.kind}-{part}-{images.label}"
        artefact = self._add("features", label, params, {"images": images}, f"{space} of {part} of [{images.about}]")
        self._outside[artefact.address] = spec.weights.file.missing
        return artefact

    def statistics(self, features: Artefact) -> Artefact:
        """Mean and covariance of features, to which Fréchet distances are taken."""
        return self._add("statistics", features.label, {}, {"features": features}, f"statistics of {features.about}")

    def _space(self, space: str, seed: int, samples: Artefact, dataset: Artefact, at: str = "") -> tuple[dict, dict]:
        """An embedding as recipe parameters; as inputs its features, or the network that they are computed with."""
        params = self._plain("embeddings", space)
        if self.study.embeddings[space].stored:
            found = {"samples": self.features(samples, space, "samples")}
            found |= {"train": self.features(dataset, space, "train")}
            return params, {f"features{at}/{part}": artefact for part, artefact in found.items()}
        if "classifier" not in params:
            return params, {}
        rest = {key: value for key, value in params.items() if key != "classifier"}
        return rest, {f"embedder{at}": self.classifier(params["classifier"], seed)}

    def neighbours(self, samples: Artefact, dataset: str, space: str, k: int, search: Search, seed: int) -> Artefact:
        """The k nearest training samples of each generation's class, in a neighbour space."""
        inputs = {"samples": samples, "dataset": self.dataset(dataset)}
        embedding, needs = self._space(space, seed, samples, inputs["dataset"])
        about = f"{k} nearest neighbours in {space} of [{samples.about}]"
        params = {"embedding": embedding, "k": k, "search": search.plain()}
        return self._add("neighbours", f"{embedding['kind']}-k{k}", params, inputs | needs, about)

    def postprocessor(self, name: str, arm: Arm, scale: float, seed: int) -> Artefact:
        """The flow (Eq. 9) that an arm of experiment `name` applies at `scale`."""
        experiment, spec = self.study.experiments[name], self.study.postprocessors[arm.postprocessor]
        pool, scales = self.pool(name, arm, scale, seed), self._learns_from(name, arm, scale)
        dataset = self.study.models[experiment.model].dataset
        neighbours = self.neighbours(pool, dataset, arm.space, arm.k, arm.search, seed)
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
        label = f"{params['network']['kind']}-{listed(scales)}-{neighbours.label}-s{seed}"
        about = f"postprocessor {arm.postprocessor}, seed {seed}: {pool.about}"
        return self._add("postprocessor", label, params, inputs, about)

    def postprocessed(self, name: str, arm: Arm, scales: tuple[float, ...], seed: int) -> Artefact:
        """The evaluated generations of an experiment after one arm's flow, or flows (Eq. 9)."""
        samples = self.evaluated(name, scales, seed)
        flows = {s: self.postprocessor(name, arm, s, seed) for s in samples.params["scales"]}
        roles = {flow.address: f"postprocessor/{i}" for i, flow in enumerate(dict.fromkeys(flows.values()))}
        inputs = {"samples": samples} | {roles[flow.address]: flow for flow in flows.values()}
        params = {
            "solver": self.study.postprocessors[arm.postprocessor].solver.plain(),
            "flows": [roles[flow.address] for flow in flows.values()],  # of each scale of the samples
        }
        about = f"{name}: after {arm.name}, scale {listed(flows, ', ')}, seed {seed}"
        label = f"{samples.label}-{next(iter(flows.values())).inputs['neighbours'].label}"
        return self._add("postprocessed", label, params, inputs, about)


def listed(scales, between: str = "-") -> str:
    return between.join(map(shown, scales)) if len(scales) <= 5 else f"{len(scales)}scales"
