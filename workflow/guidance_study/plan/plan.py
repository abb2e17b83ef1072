"""The plan: configuration -> recipes -> graph. Plain typed Python; every cluster job parses it again."""

from guidance_study.config.experiments import Arm
from guidance_study.config.study import Study
from guidance_study.plan import code
from guidance_study.plan.chain import Chain
from guidance_study.plan.recipes import Artefact
from guidance_study.sources.rawfiles import RawFile
from guidance_study.support.text import shown


class Plan(Chain):
    """All artefacts of a study: `targets` by name (tables, figures), `artefacts` by address."""

    def __init__(self, study: Study):
        super().__init__(study)
        self.targets = {name: self._table(name) for name in study.tables}
        self.targets |= {name: self._figure(name) for name in study.figures}
        code.present().keep()

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

    def missing(self, artefact: Artefact) -> str | None:
        """What an artefact needs from outside (raw files, weights) and lacks, with the remedy; None if nothing."""
        outside = self._outside.get(artefact.address)
        return outside() if outside else None

    def raw_files(self) -> list[RawFile]:
        """Every file from outside that the configuration names, in use or not."""
        study = self.study
        files = [file for spec in study.datasets.values() for file in spec.files()]
        holders = [*study.models.values(), *study.embeddings.values()]
        return files + [holder.weights.file for holder in holders if getattr(holder, "weights", None) is not None]

    def measures(self, name: str, scale: float, seed: int) -> Artefact:
        """All measures of an experiment at a scale: before, after each arm, and retrieved."""
        experiment = self.study.experiments[name]
        evaluation = experiment.evaluation
        arms, inputs = self._judged(name, (scale,), seed)
        samples, dataset = inputs["samples"], inputs["dataset"]
        if experiment.evaluator is not None:
            inputs["evaluator"] = self.classifier(experiment.evaluator, seed)
        for space in evaluation.spaces:
            for part in ("train", "held_out"):
                inputs[f"seen/{space}/{part}"] = real = self.features(dataset, space, part)
                inputs[f"statistics/{space}/{part}"] = self.statistics(real)
            inputs[f"seen/{space}/before"] = self.features(samples, space, "samples")
            for arm in experiment.arms:
                after = inputs[f"postprocessed/{arm.name}"]
                inputs[f"seen/{space}/{arm.name}"] = self.features(after, space, "samples")
        said = ("blocks", "manifold_k", "manifold_n", "copy_quantile", "per_class", "spaces")
        params = {"arms": arms, **{key: getattr(evaluation, key) for key in said}, "seed": seed}
        about = f"{name}: measures, scale {shown(scale)}, seed {seed}"
        return self._add("measures", samples.label, params, inputs, about)

    def point_measures(self, name: str, seed: int) -> Artefact:
        """All measures of an experiment that the closed form judges: every scale, before, after and retrieved."""
        evaluation = self.study.experiments[name].evaluation
        arms, inputs = self._judged(name, tuple(evaluation.scales), seed)
        params = {"arms": arms, "manifold_k": evaluation.manifold_k, "seed": seed}
        about = f"{name}: measures, seed {seed}"
        return self._add("point_measures", inputs["samples"].label, params, inputs, about)

    def _judged(self, name: str, scales: tuple[float, ...], seed: int) -> tuple[list[dict], dict[str, Artefact]]:
        """The arms of an experiment as recipe parameters; generations before and after, real data, arms' spaces."""
        experiment = self.study.experiments[name]
        samples = self.evaluated(name, scales, seed)
        dataset = self.dataset(self.study.models[experiment.model].dataset)
        arms, inputs = [], {"samples": samples, "dataset": dataset}
        for arm in experiment.arms:
            embedding, needs = self._space(arm.space, seed, samples, dataset, f"/{arm.name}")
            arms.append({"name": arm.name, "embedding": embedding, "k": arm.k, "search": arm.search.plain()})
            inputs[f"postprocessed/{arm.name}"] = self.postprocessed(name, arm, scales, seed)
            inputs |= needs
        return arms, inputs

    def cost(self, name: str, arm: Arm, scale: float, batches: list[int], seed: int) -> Artefact:
        """What generations of an experiment, and their postprocessing by an arm, cost by batch size."""
        samples, flow = self.evaluated(name, (scale,), seed), self.postprocessor(name, arm, scale, seed)
        solver = self.study.postprocessors[arm.postprocessor].solver
        params = {
            "batches": batches,
            "scale": scale,
            **{key: samples.params[key] for key in ("guidance", "sampler", "classes", "seed")},
            "solver": solver.plain(),
        }
        inputs = samples.inputs | {"postprocessor": flow}
        label = f"{samples.label}-{flow.inputs['neighbours'].label}"
        return self._add("cost", label, params, inputs, f"{name}: cost, {arm.name}, scale {shown(scale)}, seed {seed}")

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
