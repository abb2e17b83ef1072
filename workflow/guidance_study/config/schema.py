"""The JSON schema of the configuration, for editors and for readers."""

import json

from guidance_study.config.study import Study


def schema_text() -> str:
    """The schema as indented JSON, generated from the models."""
    return json.dumps(Study.model_json_schema(), indent=1) + "\n"
