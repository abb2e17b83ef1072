"""Settings of a run that change no result, carried to its jobs by environment variables."""

import contextlib
import math
import os
from pathlib import Path
from typing import TypeVar

from guidance_study.support.errors import StudyError

SETTINGS = "GUIDANCE_STUDY_"  # how the variables' names begin
BASE = Path(__file__).resolve().parents[3] / "config.yaml"  # the project's own configuration
Value = TypeVar("Value", bool, int, float, str)


def setting(name: str, default: Value) -> Value:
    """An execution setting: a value that cannot change results, from the environment of the run."""
    variable = SETTINGS + name.upper()
    if (text := os.environ.get(variable)) is None:
        return default
    return read_setting(variable, text, default)


def read_setting(variable: str, text: str, default: Value) -> Value:
    """The value of an environment variable, of the type of `default`. Raises StudyError."""
    allowed = {bool: "true or false", int: "a whole number of 1 or more", float: "a number above 0", str: "a word"}
    truths = {"true": True, "1": True, "false": False, "0": False}
    with contextlib.suppress(ValueError, KeyError):
        value = truths[text.lower()] if isinstance(default, bool) else type(default)(text)
        if isinstance(value, bool | str) or (value > 0 and math.isfinite(value)):
            return value  # type: ignore[return-value]  # of the type of the default
    raise StudyError(f"environment variable {variable} has the value '{text}': it must be {allowed[type(default)]}")
