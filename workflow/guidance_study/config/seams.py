"""Seams: packages where one new file is one new kind, found by its class and selected by its `kind`."""

import importlib
import pkgutil
from functools import cache, reduce
from operator import or_
from typing import Annotated

from pydantic import Field

from guidance_study.config.base import Spec

# What a class must have besides `kind`, so that a new file fails at once and by name.
NEEDED = {
    "datasets": ("facts", "files", "missing", "load"),
    "guidance": ("short", "title", "conditional", "start"),
    "processes": ("times", "denoiser", "loss", "sigma"),
    "processes.samplers": ("fits", "evaluations", "sample"),
    "embeddings": ("embed",),
    "tables": ("check", "needs", "make"),
    "figures": ("check", "needs", "draw"),
}


@cache
def kinds(package: str) -> dict[str, type[Spec]]:
    """The Spec classes with a `kind` that the modules of `guidance_study.<package>` define, by kind, sorted."""
    home = importlib.import_module(f"guidance_study.{package}")
    found: dict[str, type[Spec]] = {}
    for info in pkgutil.iter_modules(home.__path__):
        if info.ispkg:
            continue
        module = importlib.import_module(f"{home.__name__}.{info.name}")
        for value in vars(module).values():
            spec = isinstance(value, type) and issubclass(value, Spec) and value.__module__ == module.__name__
            if spec and "kind" in value.model_fields:
                lacking = [n for n in NEEDED[package] if not hasattr(value, n) or n in value.__abstractmethods__]
                if lacking:
                    raise ImportError(f"class {value.__name__} in {info.name}.py lacks {', '.join(lacking)}")
                found[value.model_fields["kind"].annotation.__args__[0]] = value
    return dict(sorted(found.items()))


def choice(package: str):
    """The type of a configuration value that is any kind of a seam."""
    union = reduce(or_, kinds(package).values())
    return Annotated[union, Field(discriminator="kind")] if len(kinds(package)) > 1 else union


def parse(package: str, params: dict) -> Spec:
    """A recipe's parameters as the validated Spec of their kind."""
    return kinds(package)[params["kind"]].model_validate(params)
