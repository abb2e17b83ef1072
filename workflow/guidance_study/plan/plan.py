"""The plan: configuration -> recipes -> graph. Plain typed Python; every cluster job parses it again."""

from collections import defaultdict

from guidance_study.config import seams
from guidance_study.config.experiments import Arm, Experiment
from guidance_study.config.study import Study
from guidance_study.plan.chain import Chain, listed
from guidance_study.plan.recipes import Artefact, shown
from guidance_study.sources.rawfiles import RawFile


class Plan(Chain):
    """All artefacts of a study: `targets` by name (tables, figures), `artefacts` by address."""

    def __init__(self, study: Study):
        super().__init__(study)
        self._asked: dict[tuple, set[str]] = defaultdict(set)  # names of metrics by what they are of
        for table in study.tables.values():
            for key, names in table.asks(study) if hasattr(table, "asks") else ():
                self._asked[key].update(names)
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

    def measures(self, name: str, scale: float | None, seed: int) -> Artefact:
        """What tables ask for of an experiment at a scale, or where the closed form judges at all of them (None)."""
        experiment = self.study.experiments[name]
        evaluation, exact = experiment.evaluation, experiment.exact
        scales = tuple(evaluation.scales) if exact else (scale,)
        samples = self.evaluated(name, scales, seed)
        dataset = self.dataset(self.study.models[experiment.model].dataset)
        arms, inputs = [], {"samples": samples, "dataset": dataset}
        for arm in experiment.arms:
            embedding, needs = self._space(arm.space, seed, samples, dataset, f"/{arm.name}")
            arms.append({**arm.settings, "embedding": embedding, "search": arm.search.plain()})
            inputs |= {f"postprocessed/{arm.name}": self.postprocessed(name, arm, scales, seed), **needs}
        if not exact:
            inputs |= self._seen(experiment, inputs, seed)
        guide = samples.inputs.get("classifier")
        params = {
            "of": "points" if exact else "images",
            "metrics": self._metrics(
                "points" if exact else "images", (name, scale), {**evaluation.plain(), "seed": seed}
            ),
            "guidance": samples.params["guidance"] | ({"classifier": guide.params["network"]["kind"]} if guide else {}),
            "arms": arms,
            "blocks": evaluation.blocks,
            "spaces": evaluation.spaces,
            "seed": seed,
        }
        about = f"{name}: measures, scale {listed(scales, ', ')}, seed {seed}"
        return self._add("measures", samples.label, params, inputs, about)

    def path_measures(self, name: str, reference: str, seed: int) -> Artefact:
        """What tables with this reference run ask for of an entry of `paths`."""
        paths = self.paths(name, seed)
        metrics = self._metrics("paths", (name, reference), {"reference": reference})
        inputs = {"paths": paths, "dataset": paths.inputs["dataset"]}
        return self._add(
            "measures", paths.label, {"of": "paths", "metrics": metrics}, inputs, f"{paths.about}: measures"
        )

    def _metrics(self, subject: str, key: tuple, given: dict) -> list[dict]:
        """The metrics that tables ask for of a set, as recipe parameters."""
        asked = self._asked[key]
        metrics = [metric for metric in seams.kinds("metrics").values() if subject in metric.of]
        return [m.recipe(given) for m in metrics if any(column.name in asked for column in m.columns)]

    def _seen(self, experiment: Experiment, sets: dict[str, Artefact], seed: int) -> dict[str, Artefact]:
        """What sets of images are seen with: the evaluator, and features in every space of the evaluation."""
        judge = experiment.evaluator
        found = {} if judge is None else {"evaluator": self.classifier(judge, seed)}
        generated = {"before": sets["samples"]} | {a.name: sets[f"postprocessed/{a.name}"] for a in experiment.arms}
        for space in experiment.evaluation.spaces:
            for part in ("train", "held_out"):
                found[f"seen/{space}/{part}"] = real = self.features(sets["dataset"], space, part)
                found[f"statistics/{space}/{part}"] = self.statistics(real)
            found |= {f"seen/{space}/{of}": self.features(images, space, "samples") for of, images in generated.items()}
        return found

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
