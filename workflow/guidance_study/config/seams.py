"""Seams: packages where one new file is one new kind, found by its class and selected by its `kind`."""

import importlib
import pkgutil
import traceback
from functools import cache, reduce
from operator import or_
from types import ModuleType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import Field

from guidance_study.config.base import Spec
from guidance_study.support.errors import StudyError
from guidance_study.support.params import Params

# Package -> the abstract classes in its __init__.py; a kind derives from one of them.
SEAMS = {
    "datasets": ("Dataset",),
    "processes": ("Process",),
    "processes.samplers": ("Sampler",),
    "guidance": ("Guidance",),
    "networks": ("Network", "ClassifierNetwork"),
    "embeddings": ("Embedding",),
    "metrics": ("Metric",),
    "tables": ("Table",),
    "figures": ("Figure",),
    "pages": ("Page",),
}


parsed: set[str] = set()  # kinds that recipes were parsed to, as units of code: what ran must be part of an address


class Kind(Spec):
    """What the abstract class of a seam derives from: it declares abstract methods, and attributes as ClassVars."""

    kind: str  # Literal["<name>"] in a class that is one kind

    @classmethod
    def lacking(cls) -> list[str]:
        """The parts that the abstract class of the seam declares and this class does not have."""
        attributes = [name for name in cls.__class_vars__ if not hasattr(cls, name)]
        methods = [f"{name}()" for name in cls.__abstractmethods__]
        return ([] if _name(cls) else ['kind: Literal["..."]']) + sorted(attributes) + sorted(methods)


class SeamError(StudyError):
    """A file in a seam is no complete kind; the message names the file, the class and what is missing."""


def kinds(package: str) -> dict[str, type[Any]]:
    """The kinds that the modules of `guidance_study.<package>` define, by name, sorted; subpackages are left out.

    SeamError: a module cannot be imported, or a class in it is not complete.
    """
    found, fault = _found(package)
    if fault:
        raise fault
    return found


@cache
def _found(package: str) -> tuple[dict[str, type[Any]], StudyError | None]:
    """The kinds of the modules that can be imported, and why the first of the others cannot."""
    home = importlib.import_module(f"guidance_study.{package}")
    found: dict[str, type[Any]] = {}
    modules, fault = [], None
    for info in pkgutil.iter_modules(home.__path__):
        try:
            modules += [] if info.ispkg else [_imported(package, info.name)]
        except StudyError as error:
            fault = fault or error
    for module in modules:  # after all are imported, a class that kinds share has subclasses
        for value in list(vars(module).values()):
            own = isinstance(value, type) and issubclass(value, Spec) and value.__module__ == module.__name__
            if own and (_name(value) or (issubclass(value, Kind) and not value.__subclasses__())):
                name = _checked(value, package)
                if other := found.get(name):
                    raise SeamError(f"{_at(value)} has the kind '{name}', which is taken by {_at(other)}")
                found[name] = value
    return dict(sorted(found.items())), fault


def choice(package: str, base: str | None = None) -> Any:
    """The type of a configuration value that is any kind of a seam, or any that derives from its class `base`."""
    above = getattr(importlib.import_module(f"guidance_study.{package}"), base) if base else Kind
    chosen = [kind for kind in kinds(package).values() if issubclass(kind, above)]
    union = reduce(or_, chosen)
    return Annotated[union, Field(discriminator="kind")] if len(chosen) > 1 else union


def parse(package: str, params: Params) -> Any:
    """A recipe's parameters as the validated Spec of their kind. SeamError: there is no such kind.

    A job goes on if a file of another kind breaks while it runs.
    """
    parsed.add(f"{package.replace('.', '/')}/{params['kind']}")
    found, fault = _found(package)
    if params["kind"] not in found:
        raise fault or SeamError(f"{package} have no kind '{params['kind']}'; there are {', '.join(found)}")
    return found[params["kind"]].model_validate(params)


def _imported(package: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(f"guidance_study.{package}.{name}")
    except StudyError:
        raise
    except Exception as error:  # a file of the user's own may raise what it likes
        file = f"guidance_study/{package.replace('.', '/')}/{name}.py"
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(file)]
        at = f"{file}, line {lines[-1]}" if lines else file
        said = str(error).strip().split("\n")[0]
        raise SeamError(f"{at}: cannot be imported, {type(error).__name__}: {said}") from error


def _checked(value: type[Any], package: str) -> str:
    """The name of a complete kind."""
    home = f"guidance_study/{package.replace('.', '/')}/__init__.py"
    above = tuple(getattr(importlib.import_module(f"guidance_study.{package}"), base) for base in SEAMS[package])
    if not issubclass(value, above):
        raise SeamError(f"{_at(value)} must derive from {' or '.join(SEAMS[package])} of {home}")
    if lacking := value.lacking():
        base = next(cls for cls in above if issubclass(value, cls)).__name__
        raise SeamError(f"{_at(value)} lacks {', '.join(lacking)}; {base} in {home} says what it must do")
    return str(_name(value))


def _at(value: type) -> str:
    return f"{value.__module__.replace('.', '/')}.py: class {value.__name__}"


def _name(value: type[Spec]) -> str | None:
    """The `kind` that selects this class; None where it has none."""
    field = value.model_fields.get("kind")
    return get_args(field.annotation)[0] if field and get_origin(field.annotation) is Literal else None
