"""Looking at the store beside the plan: what is there, what is missing, and what lies behind a result."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from guidance_study.config.stages import STAGES
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import Artefact, recipe_key
from guidance_study.plan.sizes import expected_bytes, readable
from guidance_study.store.artefacts import Store
from guidance_study.store.stale import stale
from guidance_study.support.errors import StudyError


def status(plan: Plan, targets: list[str], results: Path) -> Iterator[str]:
    """A line for each artefact of the targets, in order of making; then jobs, sizes, what is missing, and counts."""
    store, size = Store(results), 0
    states: dict[str, str] = {}  # of each artefact
    lacking: dict[str, int] = {}  # what is missing -> artefacts that lack it
    artefacts = plan.ancestors(targets)
    old = stale(store, [a.address for a in artefacts])
    for artefact in artefacts:
        state, why = _state(plan, artefact, store, states)
        if state == "exists" and artefact.address in old:
            state, why = "stale", old[artefact.address]
        states[artefact.address] = state
        if state == "missing":
            lacking[why] = lacking.get(why, 0) + 1
        large = expected_bytes(artefact) if state != "exists" else 0
        size += large
        about = artefact.about + (f", {readable(large)}" if large >= 10**6 else "")
        yield f"{state:8} {artefact.address}  {about}" + (f"  <- {why}" if why else "")
    counts, stages = Counter(states.values()), Counter(a.split("/")[0] for a, s in states.items() if s != "exists")
    if stages:
        listed = ", ".join(f"{n} {stage}" for stage, n in stages.items())
        yield f"jobs: {listed}; arrays of about {readable(size)}" if size >= 10**6 else f"jobs: {listed}"
    yield from _lines(lacking)
    shown = ("exists", "to make", "missing", "blocked", *(["stale"] if counts["stale"] else []))
    yield ", ".join(f"{counts[state]} {state}" for state in shown)


def lacking(plan: Plan, targets: list[str], results: Path) -> Iterator[str]:
    """A line for each thing from outside that artefacts of the targets need and that is not there."""
    store = Store(results)
    lacks = ((a, plan.missing(a)) for a in plan.ancestors(targets))
    yield from _lines(Counter(why for a, why in lacks if why and not store.has(a)))


def _lines(lacking: dict[str, int]) -> Iterator[str]:
    for why, n in lacking.items():
        yield f"missing for {n} job{'s' if n > 1 else ''}: {why}"


def _state(plan: Plan, artefact: Artefact, store: Store, states: dict[str, str]) -> tuple[str, str]:
    if store.has(artefact):
        return "exists", ""
    if problem := plan.missing(artefact):
        return "missing", problem
    blocked = [a.address for a in artefact.inputs.values() if states[a.address] in ("missing", "blocked")]
    return ("blocked", f"needs {blocked[0]}") if blocked else ("to make", "")


def address_of(named: str, results: Path) -> str:
    """The address behind the name of a table or figure, an address, or a file or folder below results."""
    published = [stage.published for stage in STAGES.values() if stage.published]
    for copy in (results / folder / f"{named}.manifest.json" for folder in published):
        if copy.is_file():
            return _address_in(copy, results)
    try:
        inside = Path(named) if named.split("/")[0] in STAGES else Path(named).resolve().relative_to(results.resolve())
    except ValueError:
        raise StudyError(
            f"'{named}' is no table or figure that was made in '{results}', and does not lie below it; make it first,"
            " or name another folder with --results"
        ) from None
    folder, name = (inside.parent.parts[:1] or (".",))[0], inside.parts[min(1, len(inside.parts) - 1)]
    copy = results / folder / f"{name.split('.', 1)[0]}.manifest.json"
    if folder in STAGES:
        return f"{folder}/{name}"
    if folder not in published or (folder == "." and not copy.is_file()):
        raise StudyError(
            f"'{named}' belongs to no artefact; name a table, figure or page, or something below a stage's folder"
        )
    if not copy.is_file():
        raise StudyError(f"'{named}' has no manifest beside it: it was not made by this pipeline or not finished")
    return _address_in(copy, results)


def _address_in(copy: Path, results: Path) -> str:
    """The address of a table or figure, from the manifest among its copies."""
    recipe = Store(results).read(copy)["recipe"]
    return f"{recipe['stage']}/{recipe['params']['name']}-{recipe_key(recipe)}"


def lineage(named: str, results: Path) -> Iterator[str]:
    """Every artefact behind what `address_of` finds, itself first, with its recipe, commit, machine and cost."""
    store, start = Store(results), address_of(named, results)
    queue, seen, seconds = [start], set(), 0.0
    while queue:
        address = queue.pop(0)
        if address in seen:
            continue
        seen.add(address)
        manifest = store.manifest(address)
        if manifest is None:
            if address == start:
                raise StudyError(f"'{named}' has no manifest: it was not made by this pipeline or not finished")
            yield f"{address}\n  no manifest: removed since, or on another machine"
            continue
        recipe, run = manifest["recipe"], manifest["run"]
        seconds += run["seconds"]
        hardware = run["hardware"]
        yield f"{address}"
        yield f"  stage    {recipe['stage']}"
        yield from (f"  code     {unit}: {revision}" for unit, revision in recipe.get("code", {}).items())
        yield from (
            f"  {name:8} {value}" for name, value in recipe["params"].items() if name not in ("sources", "settings")
        )
        yield from (f"  fact     {name}: {value}" for name, value in manifest["facts"].items())
        yield from (f"  from     {source}" for source in sorted(set(recipe["inputs"].values())))
        yield f"  made     {run['started']}, {run['seconds']} s, {run['peak_memory_mib']} MiB, commit {run['commit']}"
        yield f"  on       {hardware['host']}: {hardware['cpu']}, {hardware['cores']} cores, {hardware['device']}"
        yield f"  with     {', '.join(f'{name} {version}' for name, version in run['packages'].items())}"
        queue += recipe["inputs"].values()
    yield f"{len(seen)} artefacts, {seconds:.0f} s of computing"
