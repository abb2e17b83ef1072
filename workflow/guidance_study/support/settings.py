"""Settings of a run that change no result, carried to its jobs by environment variables."""

import os

SETTINGS = "GUIDANCE_STUDY_"  # how the variables' names begin


def setting(name: str, default: float) -> float:
    """An execution setting: a value that cannot change results, from the environment of the run."""
    value = os.environ.get(SETTINGS + name.upper(), default)
    return str(value).lower() in ("true", "1") if isinstance(default, bool) else type(default)(value)
