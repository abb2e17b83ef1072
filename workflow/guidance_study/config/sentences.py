"""Checks that several parts of the configuration share: each raises ValueError with one sentence."""

import contextlib
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from guidance_study.support.errors import StudyError
from guidance_study.support.params import Params
from guidance_study.support.settings import BASE


def known(at: str, value: Any, allowed: Collection[Any]) -> None:
    """The value of key `at` must be one of `allowed`."""
    if value not in allowed:
        shown = ", ".join(str(a) for a in allowed) or "none is declared"
        raise ValueError(f"configuration key '{at}' has the value {value!r}: allowed are {shown}")


def no_target(name: str, targets: Collection[str]) -> str:
    """A sentence on a name that is no target: what it may have meant, or the project's overlay that declares it."""
    from guidance_study.config.loading import read

    for overlay in sorted((BASE.parent / "config").glob("*.yaml")):
        declared = {}
        with contextlib.suppress(StudyError):  # one that is being written is not what was asked for
            declared = read(overlay)
        if any(name in (declared.get(section) or {}) for section in ("tables", "figures", "pages")):
            there = overlay.relative_to(BASE.parent)
            return f"'{name}' is declared in {there}: add --configfile {there} (behind the targets)"
    near = get_close_matches(name, targets, n=3)
    meant = f"did you mean {' or '.join(near)}?" if near else f"declared are {', '.join(targets)}"
    return f"'{name}' is no table, figure or page of this configuration; {meant}"


def distinct(at: str, values: list[Any]) -> None:
    """No value of the list at key `at` stands there twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"configuration key '{at}' holds {value} twice; every value may stand once")


def comparable(at: str, experiments: dict[str, Params]) -> None:
    """The experiments at key `at`, {name: {what: value}}, have the same values as the first one."""
    (first, wanted), *others = experiments.items()
    for name, values in others:
        for what, value in values.items():
            if value != wanted[what]:
                raise ValueError(
                    f"configuration key '{at}': the {what} of '{name}' is {value!r} and of '{first}' {wanted[what]!r};"
                    " one table compares only experiments that share it"
                )
