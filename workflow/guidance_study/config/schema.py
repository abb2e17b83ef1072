"""The JSON schema of the configuration, for editors and for readers."""

import json
from typing import Any

from guidance_study.config.study import Study
from guidance_study.support.params import Params


def schema_text() -> str:
    """The schema as indented JSON, generated from the models."""
    return json.dumps(Study.model_json_schema(), indent=1) + "\n"


def overlay_text() -> str:
    """The schema of an overlay, which may say anything that a configuration does, and need not say anything."""
    return json.dumps(_optional(Study.model_json_schema()), indent=1) + "\n"


def _optional(schema: Any) -> Any:
    """A schema with nothing required at any depth; without its `kind` an entry may be one of several: anyOf."""
    if isinstance(schema, list):
        return [_optional(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key != "required" or not isinstance(value, list)}
    return {"anyOf" if key == "oneOf" else key: _optional(value) for key, value in kept.items()}


def reference_text() -> str:
    """docs/configuration.md: every key with its type, default, meaning and source."""
    schema = Study.model_json_schema()
    lines = [
        "# Configuration",
        "",
        "Made from the models by `python -m guidance_study schema --markdown`. Sources: (paper) stated in arXiv",
        "2503.10638; (recovered) restored from a named source; (our guess) the paper's text lost it or never said it.",
    ]
    parts = {"Study": schema} | dict(sorted(schema["$defs"].items()))
    for name, part in parts.items():
        about = " ".join(part.get("description", "").split())
        lines += ["", f"## {name}", "", about, "", "| key | type | default | meaning |", "|---|---|---|---|"]
        required = part.get("required", [])
        for key, field in part["properties"].items():
            default = "required" if key in required else f"`{json.dumps(field.get('default', {}))}`"
            lines.append(f"| `{key}` | {_type(field)} | {default} | {field.get('description', '')} |")
    return "\n".join(lines) + "\n"


def _type(field: Params) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    for key in ("anyOf", "oneOf"):
        if key in field:
            return " or ".join(_type(option) for option in field[key])
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    if field.get("type") == "object" and "additionalProperties" in field:
        return f"name -> {_type(field['additionalProperties'])}"
    if field.get("type") == "object":
        return f"name -> {_type(next(iter(field['patternProperties'].values())))}"
    return str(field.get("type", "any"))
