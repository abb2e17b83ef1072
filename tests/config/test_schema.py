"""The schemas that editors read, and the page of every key: current, and strict where the configuration is."""

import json

import pytest
from conftest import TOP, read
from guidance_study.config.loading import parse
from guidance_study.config.schema import overlay_text, reference_text, schema_text


def test_committed_schema_is_current():
    committed = (TOP / "workflow" / "schemas" / "config.schema.json").read_text()
    assert committed == schema_text(), "run: python -m guidance_study schema > workflow/schemas/config.schema.json"


def test_committed_schema_of_overlays_is_current():
    committed = (TOP / "workflow" / "schemas" / "overlay.schema.json").read_text()
    assert committed == overlay_text(), (
        "run: python -m guidance_study schema --overlay > workflow/schemas/overlay.schema.json"
    )


def test_committed_reference_is_current():
    committed = (TOP / "docs" / "configuration.md").read_text()
    assert committed == reference_text(), "run: python -m guidance_study schema --markdown > docs/configuration.md"


def test_every_key_says_what_it_means_and_every_choice_where_it_comes_from():
    """A number, a switch or a choice is the paper's, recovered, or our guess."""
    schema = json.loads(schema_text())
    for model, part in [("Study", schema), *schema["$defs"].items()]:
        for key, field in part["properties"].items():
            text = field.get("description", "")
            assert text or key == "kind", f"{model}.{key} has no description"
            chosen = field.get("type") in ("integer", "number", "boolean") or "enum" in field
            sourced = any(word in text for word in ("paper", "recovered", "our guess", "guided-diffusion", "EDM's"))
            assert sourced or not chosen or key == "scale", f"{model}.{key} has no source: {text}"


def test_schema_describes_every_field_and_accepts_the_default(default):
    import jsonschema

    schema = json.loads(schema_text())
    jsonschema.validate(default, schema)
    for name, model in schema["$defs"].items():
        assert model["additionalProperties"] is False, name
    parse(default)


@pytest.fixture(scope="module")
def overlays():
    """`overlays(data)`: the first thing that the schema of overlays finds wrong, or None."""
    import jsonschema

    schema = json.loads(overlay_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return lambda data: next(jsonschema.Draft202012Validator(schema).iter_errors(data), None)


@pytest.mark.parametrize("overlay", sorted((TOP / "config").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_overlay_fits_the_schema_of_overlays(overlays, overlay):
    assert overlays(read(overlay)) is None


def test_the_schema_of_overlays_requires_nothing_at_any_depth(overlays, default):
    def trajectories(data: dict, at: tuple = ()):
        for key, value in data.items():
            yield (*at, key), value
            if isinstance(value, dict):
                yield from trajectories(value, (*at, key))

    for at, value in trajectories(default):
        for part in reversed(at):
            value = {part: value}
        assert overlays(value) is None, at
    assert overlays({}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"netwroks": {}},
        {"networks": {"mlp": {"widht": 3}}},
        {"experiments": {"digits_cfg": {"sampler": {"setps": 3}}}},
        {"experiments": {"digits_cfg": {"arms": [{"spaec": "pixels"}]}}},
        {"models": {"digits_conditional": {"training": {"steps": "many"}}}},
        {"processes": {"ddpm": {"kind": "edm", "beta_start": 0.1}}},
        {"tables": {"table_digits": {"experimets": []}}},
    ],
)
def test_a_misspelt_key_does_not_fit_the_schema_of_overlays(overlays, changes):
    assert overlays(changes) is not None


@pytest.mark.parametrize("file", [TOP / "config.yaml", *sorted((TOP / "config").glob("*.yaml"))], ids=lambda p: p.stem)
def test_editors_find_the_schema_of_a_file(file):
    """The head that the YAML language server reads: a path, from the file on, to the schema that it fits."""
    head, _, schema = file.read_text().splitlines()[0].partition("=")
    assert head == "# yaml-language-server: $schema"
    name = "config.schema.json" if file.parent == TOP else "overlay.schema.json"
    assert (file.parent / schema).resolve() == TOP / "workflow" / "schemas" / name
