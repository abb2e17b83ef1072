"""Tries at random: how many, for how long, and what came of them.

In `make test` a few, the same ones every time; `make fuzz MINUTES=30` sets GUIDANCE_STUDY_FUZZ_MINUTES: then new ones,
for so long in all, and the counts at the end.
"""

import os
import time
from collections import Counter

import hypothesis
from hypothesis import HealthCheck, Phase

MINUTES = float(os.environ.get("GUIDANCE_STUDY_FUZZ_MINUTES", "0"))
SHARES = {"damage": 0.15, "plan": 0.4, "run": 0.45}  # of the minutes
RATES = {"damage": 30, "plan": 6, "run": 0.3}  # tries a second at most: what is over is drawn for nothing
EVERYDAY = 40  # tries of each kind

counts: Counter[tuple[str, str]] = Counter()  # (kind, outcome) -> tries
_ends: dict[str, float] = {}

hypothesis.settings.register_profile(
    "fuzz",
    max_examples=EVERYDAY,
    derandomize=not MINUTES,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.explicit, Phase.generate],  # a failing try is small enough as it is, and shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
hypothesis.settings.load_profile("fuzz")


def tries(kind: str) -> hypothesis.settings:
    """How many tries of a kind."""
    return hypothesis.settings(max_examples=max(EVERYDAY, int(60 * MINUTES * SHARES[kind] * RATES[kind])))


def over(kind: str) -> bool:
    """Whether the minutes of this kind of tries are over; never in `make test`."""
    if not MINUTES:
        return False
    end = _ends.setdefault(kind, time.monotonic() + 60 * MINUTES * SHARES[kind])
    return time.monotonic() > end


def told() -> list[str]:
    """What came of the tries, a line for each kind and outcome."""
    return [f"{kind:8} {outcome:40} {n:8}" for (kind, outcome), n in sorted(counts.items())]
