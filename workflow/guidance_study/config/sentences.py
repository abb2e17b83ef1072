"""Checks that several parts of the configuration share: each raises ValueError with one sentence."""

from collections.abc import Collection
from typing import Any

from guidance_study.support.params import Params


def known(at: str, value: Any, allowed: Collection[Any]) -> None:
    """The value of key `at` must be one of `allowed`."""
    if value not in allowed:
        shown = ", ".join(str(a) for a in allowed) or "none is declared"
        raise ValueError(f"configuration key '{at}' has the value {value!r}: allowed are {shown}")


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
