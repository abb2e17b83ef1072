"""Plain values as text: one text for equal values."""

import json
from typing import Any


def canonical(value: Any) -> str:
    """Canonical JSON of plain types: sorted keys, no spaces; NaN and infinity are errors."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def shown(scale: float) -> str:
    """A scale in names and tables: short, and different for different scales."""
    return f"{scale:g}" if float(f"{scale:g}") == scale else repr(scale)
