"""Commands of `python -m guidance_study`, one file each: its docstring is its help, `arguments` and `run` the rest."""

NAMES = (
    "plan",
    "explain",
    "verify",
    "check",
    "run",
    "provenance",
    "disk",
    "clean",
    "pin",
    "weights",
    "code",
    "schema",
)  # as help lists them
