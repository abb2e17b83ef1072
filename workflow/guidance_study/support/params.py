"""The type of what JSON holds: parameters of recipes, manifests, schemas."""

from typing import Any

Params = dict[str, Any]
