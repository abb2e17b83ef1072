"""A whole run as one machine-readable record: RO-Crate 1.1 metadata, in the terms of the Process Run Crate profile.

Every artefact is a Dataset of Files and the result of one CreateAction: instrument, the stage and the revision of its
code; objects, the artefacts it is made from and its recipe; environment and resource usage, as its manifest has them.
Paths are relative to the store, so the record belongs into its folder. Sources: w3id.org/ro/crate/1.1,
w3id.org/ro/wfrun/process/0.5.
"""

import json
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from guidance_study.config.study import Study
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import Artefact, recipe_key
from guidance_study.sources.rawfiles import is_sha256
from guidance_study.store.artefacts import Store
from guidance_study.support.errors import StudyError
from guidance_study.support.text import canonical
from guidance_study.support.writing import sha256

METADATA = "ro-crate-metadata.json"  # the name that RO-Crate gives the file
CRATE = "https://w3id.org/ro/crate/1.1"
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # sha256, environment, resourceUsage
PAPER = "https://arxiv.org/abs/2503.10638"
LICENCE = "https://spdx.org/licenses/MIT"
TIME = "%Y-%m-%dT%H:%M:%S%z"  # of manifests
USAGE = {"seconds": "s", "peak_memory_mib": "MiB", "peak_device_memory_mib": "MiB"}  # in `run` of a manifest -> unit
FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".tex": "application/x-tex",
}


def crate(plan: Plan, targets: list[str], results: Path) -> dict:
    """The record of everything behind the targets. Every file is verified; StudyError if one is missing or damaged."""
    store, artefacts = Store(results), plan.ancestors(targets)
    missing = [artefact.address for artefact in artefacts if not store.has(artefact)]
    if missing:
        raise StudyError(
            f"{len(missing)} of the {len(artefacts)} artefacts behind {', '.join(targets)} are not there, the first is"
            f" '{missing[0]}'; make them first: snakemake --cores all {' '.join(targets)}"
        )
    graph = _Graph()
    dates = [_add_artefact(graph, artefact, store) for artefact in artefacts]
    configuration = _configuration(graph, plan.study)
    head = _head(targets, max(dates), [a.address for a in artefacts], configuration)
    return {"@context": [f"{CRATE}/context", TERMS], "@graph": [*head, *graph.entities.values()]}


def text_of(record: dict) -> str:
    """A record as the text of its file."""
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


class _Graph:
    """Entities by identifier; what two actions share is in it once."""

    def __init__(self):
        self.entities: dict[str, dict] = {}

    def add(self, identifier: str, kind: str, **properties) -> dict:
        """Add an entity unless it is there; the reference to it. Of a list of one, the one is written."""
        plain = {key: v[0] if isinstance(v, list) and len(v) == 1 else v for key, v in properties.items()}
        self.entities.setdefault(identifier, {"@id": identifier, "@type": kind, **plain})
        return {"@id": identifier}

    def value(self, name: str, value: str | float, unit: str | None = None) -> dict:
        """The reference to a named value."""
        more = {} if unit is None else {"unitText": unit}
        identifier = f"#{quote(name)}={quote(str(value), safe='')}"
        return self.add(identifier, "PropertyValue", name=name, value=value, **more)


def _head(targets: list[str], date: str, addresses: list[str], configuration: dict) -> list[dict]:
    """The descriptor, the store as the root, and what both refer to."""
    names = ", ".join(targets)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "conformsTo": {"@id": PROFILE},
        "name": f"Guidance study: {names}",
        "description": f"All that {names} are made of, from the raw data on: how, where and when it was made",
        "datePublished": date,
        "license": {"@id": LICENCE},
        "isBasedOn": {"@id": PAPER},
        "hasPart": [{"@id": _folder(address)} for address in addresses],
        "mentions": [configuration, *({"@id": _action(address)} for address in addresses)],
    }
    return [
        {"@id": METADATA, "@type": "CreativeWork", "conformsTo": {"@id": CRATE}, "about": {"@id": "./"}},
        root,
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"},
        {
            "@id": LICENCE,
            "@type": "CreativeWork",
            "name": "MIT License",
            "description": "the pipeline's licence; data and weights from outside keep their own",
        },
        {"@id": PAPER, "@type": "ScholarlyArticle", "name": "Studying Classifier(-Free) Guidance From a"
         " Classifier-Centric Perspective", "url": PAPER},
    ]  # fmt: skip


def _add_artefact(graph: _Graph, artefact: Artefact, store: Store) -> str:
    """Add an artefact, its files and the action that made it; the time at which it was finished."""
    address, folder = artefact.address, store.open(artefact.address)
    manifest = store.read(store.manifest_path(address))
    run, recipe = manifest["run"], manifest["recipe"]
    began = datetime.strptime(run["started"], TIME)
    ended = (began + timedelta(seconds=run["seconds"])).isoformat(timespec="seconds")
    digests = manifest["files"] | {"manifest.json": sha256(folder / "manifest.json")}
    files = [_file(graph, address, folder / name, digest) for name, digest in digests.items()]
    name = artefact.about or address
    graph.add(_folder(address), "Dataset", name=name, dateModified=ended, hasPart=files)
    recipe_entity = graph.add(
        f"#recipe/{quote(address)}", "PropertyValue", name="recipe", value=canonical(recipe), propertyID=manifest["key"]
    )
    inputs = [{"@id": _folder(source)} for source in dict.fromkeys(recipe["inputs"].values())]
    graph.add(
        _action(address),
        "CreateAction",
        name=f"make {name}",
        description=f"stage {recipe['stage']}, code {_code(recipe)}, for {address}",
        startTime=began.isoformat(),
        endTime=ended,
        actionStatus="http://schema.org/CompletedActionStatus",
        instrument=_instrument(graph, recipe, run),
        object=[*inputs, *_outside(graph, recipe["params"]), recipe_entity],
        result=[{"@id": _folder(address)}],
        environment=_environment(graph, run),
        resourceUsage=[graph.value(name, run[name], unit) for name, unit in USAGE.items() if name in run],
    )
    return ended


def _file(graph: _Graph, address: str, path: Path, digest: str) -> dict:
    kind = FORMATS.get(path.suffix, "application/octet-stream")
    size = str(path.stat().st_size)
    identifier = quote(f"{address}/{path.name}")
    return graph.add(identifier, "File", name=path.name, contentSize=size, sha256=digest, encodingFormat=kind)


def _instrument(graph: _Graph, recipe: dict, run: dict) -> dict:
    """The stage as software: its code's digest, the commit as build metadata, and the packages it computes with."""
    stage, version = recipe["stage"], f"{_code(recipe)}+{run['commit'] or 'unknown'}"
    packages = [
        graph.add(f"#{name}-{quote(number)}", "SoftwareApplication", name=name, softwareVersion=number, url=_home(name))
        for name, number in run["packages"].items()
    ]
    return graph.add(
        f"#{stage}-{quote(version)}-{recipe_key(run['packages'])}",
        "SoftwareApplication",
        name=f"guidance_study, stage {stage}",
        softwareVersion=version,
        softwareRequirements=packages,
    )


def _code(recipe: dict) -> str:
    """One digest of the code of all units that a recipe runs."""
    return recipe_key(recipe.get("code", {}))


def _home(package: str) -> str:
    return "https://www.python.org" if package == "python" else f"https://pypi.org/project/{package}/"


def _environment(graph: _Graph, run: dict) -> list[dict]:
    """Where and in what way it ran: commit, machine, processes, and whatever else a manifest says in a word."""
    said = run["hardware"] | {name: value for name, value in run.items() if name not in ("started", *USAGE)}
    return [graph.value(name, value) for name, value in said.items() if isinstance(value, str | int | float)]


def _outside(graph: _Graph, params: dict) -> list[dict]:
    """Files from outside that a recipe names by digest: a dataset's raw files, pretrained weights."""
    weights = params.get("weights") or {}
    named = (params.get("raw") or {}) | ({"weights": weights["sha256"]} if "sha256" in weights else {})
    return [
        graph.add(f"#sha256-{digest}", "CreativeWork", name=f"from outside: {name}", sha256=digest)
        for name, digest in named.items()
        if is_sha256(str(digest))
    ]


def _configuration(graph: _Graph, study: Study) -> dict:
    """The validated configuration, defaults written out."""
    text, kind = canonical(study.plain()), "application/json"
    return graph.add("#configuration", "CreativeWork", name="configuration", text=text, encodingFormat=kind)


def _folder(address: str) -> str:
    return quote(f"{address}/")


def _action(address: str) -> str:
    return f"#make/{quote(address)}"
