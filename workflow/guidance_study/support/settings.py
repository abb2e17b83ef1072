"""Settings of a run that change no result, carried to its jobs by environment variables."""

import os
from pathlib import Path
from typing import TypeVar

SETTINGS = "GUIDANCE_STUDY_"  # how the variables' names begin
BASE = Path(__file__).resolve().parents[3] / "config.yaml"  # the project's own configuration
Value = TypeVar("Value", bool, int, float, str)


def setting(name: str, default: Value) -> Value:
    """An execution setting: a value that cannot change results, from the environment of the run."""
    value = os.environ.get(SETTINGS + name.upper(), default)
    return str(value).lower() in ("true", "1") if isinstance(default, bool) else type(default)(value)
