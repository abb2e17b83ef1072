"""Disk use of the store beside what the configurations need, and removal of what none of them needs.

Only what this pipeline surely made, and surely finished, is ever removed: anything else below results/ is left alone
and named.
"""

import contextlib
import fcntl
import os
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from guidance_study.config.loading import ConfigError, load
from guidance_study.config.stages import STAGES
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import KEY_LENGTH, recipe_key
from guidance_study.sources.rawfiles import UNPINNED
from guidance_study.store.artefacts import CHECKPOINTS, SCRATCH, SHARDS, STALE, DamagedArtefact, Store
from guidance_study.store.index import write_index
from guidance_study.store.lock import Lock
from guidance_study.support.errors import StudyError
from guidance_study.support.text import canonical
from guidance_study.support.writing import alive as alive
from guidance_study.support.writing import explained

NAME = re.compile(rf".+-([0-9a-f]{{{KEY_LENGTH}}})")  # of an artefact's folder
UNFINISHED = (CHECKPOINTS, SHARDS)  # below results/: <stage>/<label>-<key>/, until the artefact is finished


@dataclass(frozen=True)
class Needs:
    """What is needed: the plan of the configuration as given, and those of every other way to read its files."""

    plans: tuple[Plan, ...]

    @cached_property
    def addresses(self) -> set[str]:
        return {address for plan in self.plans for address in plan.artefacts}

    def unsure(self) -> str | None:
        """One sentence if an address hangs on a file or folder from outside that is not there to be asked."""
        for plan in self.plans:
            for artefact in plan.artefacts.values():
                hangs = UNPINNED in canonical(artefact.params) or "index" in (artefact.params.get("raw") or {})
                if hangs and (said := plan.missing(artefact)):
                    return said
        return None


def needed(base: Path, overlays: list[Path]) -> Needs:
    """The needs of a base configuration and overlays: all together, each overlay alone, and the base alone.

    Results of an overlay's own run stay needed whichever of these readings made them. Only the files as given must be
    valid: nothing was made with a reading that is not.
    """
    plans = [Plan(load([base, *overlays]))]
    for files in [[base], *([base, overlay] for overlay in overlays)] if overlays else []:
        with contextlib.suppress(ConfigError):
            plans.append(Plan(load(files)))
    return Needs(tuple(plans))


@dataclass(frozen=True)
class Found:
    """A folder below results/: what it is, where, what it takes, and why it must be left alone, if it must."""

    kind: str
    path: Path
    address: str
    about: str = ""
    problem: str | None = None

    @cached_property
    def bytes(self) -> int:
        return size(self.path)


def size(path: Path) -> int:
    """Bytes of a file or of all files below a folder; links count as links."""
    if path.is_dir() and not path.is_symlink():
        return sum(size(Path(entry)) for entry in os.scandir(path))
    return path.lstat().st_size


def shown(n: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.0f} B" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} TiB"


def artefacts(root: Path) -> list[Found]:
    """All folders and files below the stages' folders that are not empty, with what speaks against each."""
    store, abouts = Store(root), _abouts(root)
    paths = [path for stage in STAGES if (root / stage).is_dir() for path in sorted((root / stage).iterdir())]
    found = []
    for path in paths:
        address = f"{path.parent.name}/{path.name}"
        if path.is_symlink() or not path.is_dir() or any(path.iterdir()):
            found.append(Found("artefact", path, address, abouts.get(address, ""), _problem(store, address)))
    return found


def _problem(store: Store, address: str) -> str | None:
    """Why a folder is not surely a finished artefact of this pipeline and nothing else; None if it is."""
    folder, (stage, name) = store.root / address, address.split("/")
    if _linked(store.root, folder):
        return "a link"
    if not folder.is_dir() or not (key := NAME.fullmatch(name)):
        return "not an artefact's name"
    try:
        manifest = store.manifest(address)
    except DamagedArtefact:
        return "its manifest is damaged"
    if manifest is None:
        return "it has no manifest"
    if manifest["recipe"].get("stage") != stage or recipe_key(manifest["recipe"]) != key[1]:
        return "its manifest is another artefact's"
    expected = {*manifest["files"], "manifest.json"}
    there = {path.name for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    if missing := sorted(expected - there):
        return f"'{missing[0]}' is missing"
    if foreign := sorted(path.name for path in folder.iterdir() if path.name not in expected):
        return f"'{foreign[0]}' is not of this pipeline"
    return None


def unfinished(root: Path) -> list[Found]:
    """Checkpoints and shards; those of an artefact that is not finished have the problem that they are still of use."""
    store, found = Store(root), []
    for path in (path for folder in UNFINISHED for path in sorted((root / folder).glob("*/*"))):
        address = f"{path.parent.name}/{path.name}"
        known = address.split("/")[0] in STAGES and path.is_dir() and not _linked(root, path)
        problem: str | None = "of an artefact that is not finished" if known else "not of this pipeline"
        if known and _problem(store, address) is None:
            problem = None
        kind = "checkpoints" if path.parent.parent.name == CHECKPOINTS else "shards"
        found.append(Found(kind, path, address, f"of {address}", problem))
    return found


def leftovers(root: Path) -> list[Found]:
    """What jobs left in the scratch folder; of other machines, or of living processes, with that problem."""
    found, here = [], socket.gethostname()
    for path in sorted((root / SCRATCH).glob("*")):
        if _linked(root, path):
            found.append(Found("leftover", path, "", "of a killed job", "behind a link"))
            continue
        _, _, place = path.name.partition("@")
        host, _, pid = place.rpartition("@")
        problem = None
        if not host or not pid.isdigit() or not path.is_dir():
            problem = "not of this pipeline"
        elif host != here:
            problem = f"of a job on '{host}'"
        elif alive(int(pid)):
            problem = "of a living process"
        found.append(Found("leftover", path, "", "of a killed job", problem))
    return found


def _linked(root: Path, path: Path) -> bool:
    """Whether a path below the store is, or lies behind, a link: then it may lead out of the store."""
    inner = path.relative_to(root)
    return any((root / part).is_symlink() for part in (inner, *inner.parents) if part.name)


def set_aside(root: Path) -> list[Found]:
    """Artefacts that were stale when a run began; of no use any more."""
    paths = [path for stage in STAGES for path in sorted((root / STALE / stage).glob("*@*"))]
    odd = lambda path: "not of this pipeline" if _linked(root, path) or not path.is_dir() else None  # noqa: E731
    return [Found("stale", path, "", "set aside", odd(path)) for path in paths]


def _abouts(root: Path) -> dict[str, str]:
    """Address -> what the index says of it."""
    try:
        lines = (root / "index.tsv").read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return {}
    return {address: about for address, _, about in (line.partition("\t") for line in lines)}


def report(root: Path, needs: Needs) -> Iterator[str]:
    """Lines: artefacts and bytes by stage and by target, the rest of the store, and what no target needs."""
    _exists(root)
    found = artefacts(root)
    yield f"{'stage':16}{'artefacts':>10}{'size':>12}{'needed':>10}{'size':>12}{'not needed':>12}{'size':>12}"
    for stage in [*STAGES, "all"]:
        here = [one for one in found if stage in ("all", one.address.split("/")[0])]
        if here:
            wanted = [one for one in here if one.address in needs.addresses]
            rest = [one for one in here if one.address not in needs.addresses]
            counted = f"{len(here):10}{_sum(here)}{len(wanted):10}{_sum(wanted)}{len(rest):12}{_sum(rest)}"
            yield f"{stage:16}{counted}"
    yield ""
    yield from _by_target(needs.plans[0], found)
    yield ""
    others = {"checkpoints and shards": unfinished(root), "scratch of jobs": leftovers(root)}
    others["stale artefacts, set aside"] = set_aside(root)
    for name, several in others.items():
        yield f"{name:30}{len(several):10}{_sum(several)}"
    published = {stage.published for stage in STAGES.values() if stage.published}
    for path in sorted(root.iterdir()):
        if path.name not in (*STAGES, *UNFINISHED, SCRATCH, STALE):
            what = "copies under readable names" if path.name in published else path.name
            yield f"{what:30}{'':10}{shown(size(path)):>12}"
    if said := needs.unsure():
        yield f"note: addresses are not sure: {said}"


def _sum(found: list[Found]) -> str:
    return f"{shown(sum(one.bytes for one in found)):>12}"


def _by_target(plan: Plan, found: list[Found]) -> Iterator[str]:
    """Each table's and figure's artefacts that are there, and those that no other target of the plan shares."""
    there = {one.address: one for one in found}
    behind = {name: {a.address for a in plan.ancestors([name])} for name in plan.targets}
    users: dict[str, int] = {}
    for addresses in behind.values():
        for address in addresses:
            users[address] = users.get(address, 0) + 1
    yield f"{'table or figure':30}{'artefacts':>10}{'size':>12}{'its alone':>10}{'size':>12}"
    for name, addresses in behind.items():
        mine = [there[a] for a in addresses if a in there]
        alone = [one for one in mine if users[one.address] == 1]
        yield f"{name:30}{len(mine):10}{_sum(mine)}{len(alone):10}{_sum(alone)}"


def clean(root: Path, needs: Needs, yes: bool) -> Iterator[str]:
    """Lines: what no target needs, with its bytes; deleted, under the lock of a run, only with `yes`."""
    _exists(root)
    if said := needs.unsure():
        raise StudyError(f"nothing is cleaned as long as it is not sure what is needed: {said}")
    with Lock(root) if yes else contextlib.nullcontext():
        found = artefacts(root)
        mine = [one for one in found if one.address not in needs.addresses]
        candidates = [*mine, *unfinished(root), *leftovers(root), *set_aside(root)]
        going = [one for one in candidates if one.problem is None]
        for one in sorted(going, key=lambda one: -one.bytes):
            yield f"{shown(one.bytes):>12}  {one.path.relative_to(root)}  {one.about}"
        for one in candidates:
            if one.problem and one.address not in needs.addresses:
                yield f"{'left alone':>12}  {one.path.relative_to(root)}  {one.problem}"
        lines = {a for a in _abouts(root) if a not in needs.addresses and not (root / a).is_dir()}
        lines |= {one.address for one in going if one.kind == "artefact"} & _abouts(root).keys()
        yield _total(root, going, len(lines))
        if not yes:
            yield "nothing was deleted; --yes deletes it" if going or lines else "there is nothing to delete"
            return
        kept = [one for one in going if not _removed(root, one)]
        if lines:
            write_index(needs.plans[0], root)
        for one in kept:
            yield f"{'left alone':>12}  {one.path.relative_to(root)}  a job is at work on it"
        yield f"deleted {shown(sum(one.bytes for one in going if one not in kept))}"


def _exists(root: Path) -> None:
    if not root.is_dir():
        raise StudyError(f"'{root}' is no folder; name the store with --results")


def _total(root: Path, going: list[Found], lines: int) -> str:
    """How much goes, and what it took to compute."""
    store, gone = Store(root), [one for one in going if one.kind == "artefact"]
    hours = sum(store.read(store.manifest_path(one.address))["run"].get("seconds", 0) for one in gone) / 3600
    rest = len(going) - len(gone)
    return (
        f"{shown(sum(one.bytes for one in going))} that no table or figure needs: {len(gone)} artefacts ({hours:.1f}"
        f" hours of computing), {rest} leftovers of jobs, {lines} lines of index.tsv"
    )


def _removed(root: Path, one: Found) -> bool:
    """Remove a folder, an artefact's manifest first; False if a job that outlived its run is at work on it."""
    folder = root / one.address if one.address else one.path
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without such locks
        with explained(one.path):
            (one.path / "manifest.json").unlink(missing_ok=True)
            shutil.rmtree(one.path)
    finally:
        os.close(handle)
    return True
