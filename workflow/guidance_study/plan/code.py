"""Code as a part of addresses: units of code, what each consists of, and the revision that a recipe holds.

A unit is a stage or a kind of a seam. Its code is its module and all that this imports from the package, at the top or
inside functions; kinds that are found by their names are units of their own, and a job may run only those that its
recipe or an input's names. A revision is the digest of a unit's code, or the digest of earlier code that the tracked
record says gives the same results.
"""

import contextlib
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from guidance_study.plan.syntax import HOME, Source, parsed
from guidance_study.support.errors import StudyError
from guidance_study.support.params import Params
from guidance_study.support.text import canonical
from guidance_study.support.writing import atomic_write, sha256

PACKAGE = Path(__file__).parents[1]
RECORD = "same_code.tsv"  # beside the package: unit, digest, the revision whose results it gives
MANY = 2000  # files in the cache of parsed ones, those of earlier edits among them, before it begins anew
NOTHING = parsed(b"").body  # what most pages of packages say
DIGITS = 16  # hexadecimal digits of a digest
# What a stage runs and no result can tell: nothing here touches an array or an order. A literal constant taken from
# here counts by its value; all other code of the package counts.
NEUTRAL = (
    "config",  # its values reach a stage as parameters, which stand in the recipe
    "execution.blas",  # chooses among kernels that differ by rounding
    "execution.loaded",  # stops a job whose code is not the plan's
    "store.artefacts",  # files whose SHA-256 was just found right
    "sources.rawfiles",  # files whose SHA-256 stands in the recipe
    "support.errors",  # an error ends the job: there is no result
    "support.settings",  # how a run is carried out; whatever a setting is, results differ by rounding
    "support.writing",  # writes bytes as they are given
)


class Code:
    """The package's code at one moment: every file is read once.

    `loaded`: module -> the bytes that this process runs, in the place of those of its file.
    """

    def __init__(self, package: Path = PACKAGE, loaded: Mapping[str, bytes] | None = None):
        self.package = package
        self.paths = {_module(path.relative_to(package)): path for path in _files(package)}
        try:
            self.contents = {module: path.read_bytes() for module, path in self.paths.items()} | dict(loaded or {})
        except OSError as error:
            raise StudyError(f"'{error.filename}' cannot be read as a part of the code: {error.strerror}") from None
        self.kept = _read_cache(package)
        self.anew: dict[str, Params] = {}
        self.same = _read_record(package.parent / RECORD)
        once = (self.source, self.closure, self._targets, self._own, self._modules, self.digest, self.revision)
        for method in once:
            setattr(self, method.__name__, cache(method))

    def source(self, module: str) -> Source:
        """What a module's file says. Raises StudyError if it is no Python."""
        content = self.contents[module]
        key = hashlib.sha256(content).hexdigest()
        if key in self.kept:
            return Source(**self.kept[key])
        try:
            found = parsed(content)
        except (SyntaxError, ValueError) as error:
            raise StudyError(f"'{self.paths[module]}' is no Python: {error}") from None
        self.anew[key] = asdict(found)
        return found

    def closure(self, module: str) -> frozenset[str]:
        """The modules that a module leads to, itself and the packages that they are in included, but no neutral one."""
        found, queue = set(), [module, *self._above(module)]
        while queue:
            name = queue.pop()
            if name not in found and not neutral(name):
                found.add(name)
                queue += [above for target, _ in self._targets(name) for above in (target, *self._above(target))]
        return frozenset(found)

    def _above(self, module: str) -> list[str]:
        """The packages that a module is in: an import runs their pages first."""
        parts = module.split(".")
        return [name for n in range(len(parts)) if (name := ".".join(parts[:n])) in self.paths]

    def _targets(self, module: str) -> list[tuple[str, str]]:
        """(module, name taken from it) of each import of the package in a module."""
        found = []
        for said, name in self.source(module).imports:
            parts = said.removeprefix(HOME).lstrip(".").split(".")
            if said.startswith("."):
                home = module.split(".") + ["__init__"] * (self.paths[module].stem == "__init__")
                parts = home[: len(home) - (len(said) - len(said.lstrip(".")))] + parts
            base = ".".join(filter(None, parts))
            inside = ".".join(filter(None, (base, name)))
            found.append((inside, "") if inside in self.paths else (base, name))
        return [(target, name) for target, name in found if target in self.paths]

    def _own(self, module: str) -> str:
        """The digest of a module's own code; what it imports is known by its code, constants by their values."""
        taken = []
        for target, name in self._targets(module):
            source = self.source(target)
            read = [name] if name else self.source(module).attributes  # of a module that is imported as a whole
            constants = [source.constants[name] for name in read if name in source.constants]
            taken.append(constants if neutral(target) else source.body)
        return hashlib.sha256(canonical([self.source(module).body, taken]).encode()).hexdigest()

    def _modules(self, package: str, tolerant: bool = False) -> dict[str, str]:
        """Kind -> its module, of a seam's package. Raises StudyError at a file that is no Python, or leaves it out."""
        found: dict[str, str] = {}
        for module in sorted(m for m in self.paths if m.rpartition(".")[0] == package):
            with contextlib.suppress(StudyError) if tolerant else contextlib.nullcontext():
                found |= dict.fromkeys(self.source(module).kinds, module)
        return found

    def module(self, unit: str) -> str | None:
        """The module of a unit, "stages/<stage>" or "<package of a seam>/<kind>"; None if there is no such unit.

        Raises StudyError if it may be in a file that is no Python.
        """
        package, _, name = unit.rpartition("/")
        if package == "stages":
            return f"stages.{name}" if f"stages.{name}" in self.paths else None
        seam = package.replace("/", ".")
        return self._modules(seam, tolerant=True).get(name) or self._modules(seam).get(name)

    def digest(self, unit: str) -> str:
        """The digest of a unit's code. Raises StudyError where there is no such unit."""
        if (module := self.module(unit)) is None:
            raise StudyError(f"'{unit}' is no unit of code; units are {', '.join(self.units())}")
        rest = [name for name in self.closure(module) - {module} if self.source(name).body != NOTHING]
        said = canonical([self._own(module), *sorted(map(self._own, rest))])
        return hashlib.sha256(said.encode()).hexdigest()[:DIGITS]

    def revision(self, unit: str) -> str:
        """The digest of the first code of a unit with the results of this one."""
        digest = self.digest(unit)
        return self.same.get((unit, digest), digest)

    def units(self) -> list[str]:
        """All units: the stages, and the kinds of every seam."""
        from guidance_study.config.seams import SEAMS
        from guidance_study.config.stages import STAGES

        kinds = [f"{seam.replace('.', '/')}/{kind}" for seam in sorted(SEAMS) for kind in sorted(self._modules(seam))]
        return [f"stages/{stage}" for stage in STAGES] + kinds

    def used(self, stage: str, params: Params) -> Iterator[str]:
        """The units that a recipe runs: its stage, and each kind that its parameters name under the seam's name."""
        yield f"stages/{stage}"
        for name, kind in _named(stage, stage, params):
            if seams := _seams(name):
                found = [f"{seam}/{kind}" for seam in seams if self.module(f"{seam}/{kind}")]
                if not found:
                    raise StudyError(f"no file below {', '.join(seams)} declares the kind '{kind}'")
                yield found[0]

    def revisions(self, stage: str, params: Params) -> dict[str, str]:
        """Unit -> revision, of the units that a recipe runs."""
        return {unit: self.revision(unit) for unit in sorted(set(self.used(stage, params)))}

    def keep(self) -> None:
        """Write what was parsed, for the next process, if it can be written."""
        if self.anew:
            content = canonical((self.kept if len(self.kept) < MANY else {}) | self.anew)
            text = hashlib.sha256(content.encode()).hexdigest() + content
            with contextlib.suppress(OSError, StudyError):
                atomic_write(_cache(self.package), text.encode())


def neutral(module: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in NEUTRAL)


@cache
def _seams(name: str) -> tuple[str, ...]:
    """The seams that a parameter's name may mean, as units begin: of its plural, or of a part so named."""
    from guidance_study.config.seams import SEAMS

    meant = {name, f"{name}s", f"{name}es"}
    found = [seam.split(".") for seam in SEAMS if meant & set(seam.split("."))]
    return tuple("/".join(parts) for parts in sorted(found, key=lambda parts: (parts[-1] not in meant, parts)))


def _named(stage: str, name: str, value: Any) -> Iterator[tuple[str, str]]:
    """(parameter, kind) of all kinds that parameters hold; a table's or figure's own is its `spec`."""
    if isinstance(value, dict):
        if isinstance(kind := value.get("kind"), str):
            yield name, kind
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _named(stage, stage if key == "spec" else key, inner)
    else:
        for inner in value:
            if isinstance(inner, dict | list):
                yield from _named(stage, name, inner)


def _files(package: Path) -> list[Path]:
    """The package's files of Python; a name that begins with a dot is an editor's own."""
    found = [path for path in package.rglob("*.py") if path.is_file()]
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(package).parts)]


def _module(path: Path) -> str:
    """The name below the package of the module at a path below it; "" for the package itself."""
    return ".".join(path.parent.parts if path.stem == "__init__" else path.with_suffix("").parts)


def _cache(package: Path) -> Path:
    """The cache of parsed files, by the SHA-256 of their bytes: beside the interpreter's own."""
    return package / "__pycache__" / f"code.{sys.implementation.cache_tag}-{_parser()[:DIGITS]}.json"


@cache
def _parser() -> str:
    return sha256(Path(__file__).with_name("syntax.py"))


def _read_cache(package: Path) -> dict[str, Params]:
    """SHA-256 of a file -> what it says; {} where the cache cannot be read or is not what was written."""
    with contextlib.suppress(OSError, ValueError):
        text = _cache(package).read_text(encoding="utf-8")
        if hashlib.sha256(text[64:].encode()).hexdigest() == text[:64]:
            return dict(json.loads(text[64:]))
    return {}


def _read_record(path: Path) -> dict[tuple[str, str], str]:
    """(unit, digest) -> revision. Raises StudyError at a line that is none, or that contradicts another."""
    found: dict[tuple[str, str], str] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if not re.fullmatch(rf"[\w/]+\t[0-9a-f]{{{DIGITS}}}\t[0-9a-f]{{{DIGITS}}}", line):
            raise StudyError(f"'{path}' has the line {line!r}: a line is a unit, a digest and a revision, with tabs")
        unit, digest, revision = line.split("\t")
        if found.setdefault((unit, digest), revision) != revision:
            raise StudyError(f"'{path}' says two things of {unit} {digest}: keep one of the lines")
    return found


def record(code: Code, before: Code, units: list[str]) -> None:
    """Record that the present code of units gives the results of the code `before`."""
    same = dict(code.same)
    for unit in units:
        digest = code.digest(unit)
        if before.module(unit) is None:
            raise StudyError(f"'{unit}' has no earlier code that could give the same results")
        if (revision := before.revision(unit)) != digest:
            same[unit, digest] = revision
    if same == code.same:
        return
    lines = sorted(f"{unit}\t{digest}\t{revision}\n" for (unit, digest), revision in same.items())
    atomic_write(code.package.parent / RECORD, "".join(lines).encode())


@contextlib.contextmanager
def at_commit(commit: str) -> Iterator[Code]:
    """The package's code in a commit of its checkout. Raises StudyError where there is no such commit, or no git."""
    command = ["git", "archive", "--format=tar", commit]  # of the folder that it runs in
    try:
        done = subprocess.run(command, cwd=PACKAGE, capture_output=True)
    except OSError as error:
        raise StudyError(f"the code of commit '{commit}' cannot be had: git does not run, {error.strerror}") from None
    if done.returncode:
        raise StudyError(f"the code of commit '{commit}' cannot be had: {done.stderr.decode(errors='replace').strip()}")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(Path(folder, HOME), filter="data")
        code = Code(Path(folder, HOME))
        code.kept, code.same = _read_cache(PACKAGE), _read_record(PACKAGE.parent / RECORD)
        yield code


@cache
def present() -> Code:
    """The code that this process plans with."""
    return Code()
