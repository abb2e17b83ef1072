"""What metrics are of, one file for images, points and trajectories: sets in their states, and the real data.

`Sets(job)` has `real`, `about`, the sizes that tables name, and yields (said, read): what is said of a set (`state`,
`arm`, `scale`, `repeat` or `run`; None where there is none), and a function that gives it, called where a metric
wants it.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Real:
    """Real data, and what metrics compute of them once for all sets."""

    def __init__(self):
        self._known: dict[str, Any] = {}

    def once(self, name: str, compute: Callable[[], Value]) -> Value:
        """What `compute()` returns, computed the first time that `name` is asked for."""
        if name not in self._known:
            self._known[name] = compute()
        return self._known[name]
