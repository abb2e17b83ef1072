"""Reading, merging and validating configuration files; every error is one sentence with key, value and remedy."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from guidance_study.config.study import Study
from guidance_study.support.errors import StudyError
from guidance_study.support.params import Params
from guidance_study.support.text import one_line


class ConfigError(StudyError, ValueError):
    """The configuration cannot be run; the message is one sentence for its author."""


LONGEST = 1000  # letters of a sentence
HERE = "this configuration file"
VALUES = 200_000  # that a file may hold, every use of an alias counted
MERGE = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key written twice: the second would silently win."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == MERGE:
            continue  # `<<: *other`; the keys written out here win over those merged in
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            mark = key_node.start_mark
            raise ConfigError(
                f"{Path(mark.name).name}, line {mark.line + 1}: the name '{key}' is used twice;"
                " give the two entries different names"
            )
        seen.add(key)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


KINDS: dict[type, str] = {dict: "a mapping", list: "a list"}


def read(path: Path, kind: type = dict) -> Any:
    """One YAML file as a mapping, or another `kind`; duplicate keys, bad YAML and a missing file are ConfigErrors."""
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise ConfigError(f"configuration file '{path}' is no file")
        with Path(path).open(encoding="utf-8") as stream:
            data = yaml.load(stream, Loader=_StrictLoader)
        _small(data)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"configuration file '{path}' is not UTF-8: byte {error.start} is none of a character"
        ) from None
    except (RecursionError, MemoryError):
        raise ConfigError(f"configuration file '{path}' is nested too deeply") from None
    except ConfigError as error:
        raise ConfigError(str(error).replace(HERE, f"configuration file '{path}'")) from None
    except (ValueError, TypeError, AttributeError) as error:  # odd dates, numbers of thousands of digits, odd keys
        raise ConfigError(
            f"configuration file '{path}' holds a value that is none: {' '.join(str(error).split())}"
        ) from None
    except OSError as error:
        raise ConfigError(f"configuration file '{path}' cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"configuration file '{path}' is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, kind):
        raise ConfigError(f"configuration file '{path}' must hold {KINDS[kind]}, not {type(data).__name__}")
    return data


def _small(data: Any) -> None:
    """ConfigError where aliases make a few lines mean millions of values, or contain themselves."""
    left, todo = VALUES, [data]
    while todo:
        value = todo.pop()
        todo += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        left -= 1
        if left < 0:
            raise ConfigError(f"{HERE} holds more than {VALUES} values, by aliases of aliases or of itself")


def merge(base: Params, overlay: Params) -> Params:
    """`overlay` laid over `base`, as Snakemake's --configfile does: mappings merge, everything else replaces."""
    merged = copy.copy(base)
    for key, value in overlay.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def load(paths: Iterable[Path]) -> Study:
    """Read the files in order, merge them and validate the result."""
    data: Params = {}
    for path in paths:
        data = merge(data, read(path))
    return parse(data)


def parse(data: Params) -> Study:
    """Validate a merged configuration; the first mistake becomes a ConfigError of one sentence."""
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ConfigError(_shortened(_sentence(problems[0], data)) + more) from None


def _shortened(sentence: str) -> str:
    """One line of bearable length, whatever names and values a file has: a sentence's beginning and its end."""
    sentence = one_line(sentence)
    return sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST // 2]} ... {sentence[-LONGEST // 2 :]}"


def _sentence(problem: ErrorDetails, data: Params) -> str:
    path, value = _locate(problem["loc"], data)
    if value is None:
        value = problem["input"]  # of a value that is not in the file: what the package fills in
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "unknown_key":
        path = f"{path}.{context['key']}" if path else context["key"]
        value = next((v for k, v in value.items() if str(k) == context["key"]), None)
        return f"configuration key '{path}' (value {_short(value)}) is unknown; allowed here: {context['allowed']}"
    if kind == "renamed_key":
        at = f"{path}.{context['key']}" if path else context["key"]
        return f"configuration key '{at}' is called '{context['new']}' now"
    if kind == "unusable_value":
        at = f"{path}.{context['key']}" if path else context["key"]
        found = next((v for k, v in value.items() if str(k) == context["key"]), None)
        return f"configuration key '{at}' has the value {_short(found)}: {context['problem']}"
    if kind == "missing":
        return f"configuration key '{path}' is missing; it needs a value"
    if kind == "value_error":
        message = str(context["error"])
        return f"configuration key '{path}': {message}" if path else message
    if kind == "union_tag_invalid":
        allowed = context["expected_tags"].replace("'", "")
        return f"configuration key '{path}.kind' has the value {_short(context['tag'])}: allowed are {allowed}"
    if kind == "union_tag_not_found":
        return f"configuration key '{path}.kind' is missing; it says which kind of entry this is"
    if kind == "string_pattern_mismatch" and "colours" in path:
        return f"configuration key '{path}' has the value {_short(value)}: a colour is written '#0072B2'"
    if kind == "string_pattern_mismatch":
        return f"configuration key '{path}': a name has lower-case letters, digits and _ and begins with a letter"
    message = problem["msg"][0].lower() + problem["msg"][1:]
    hint = ""
    if isinstance(value, str) and kind in ("float_type", "int_type"):
        hint = " (YAML reads 1e-4 as text: write 1.0e-4)" if "e" in value.lower() else " (write it without quotes)"
    return f"configuration key '{path}' has the value {_short(value)}: {message}{hint}"


def _locate(loc: tuple[int | str, ...], data: Any) -> tuple[str, Any]:
    """The dotted path and the value at a pydantic location, whose union tags are no keys of the file."""
    path, value, tagged = "", data, None
    for part in loc:
        if isinstance(value, dict) and value.get("kind") == part and tagged is not value:
            tagged = value  # the tag of a discriminated union stands once before its keys, one of which may be equal
            continue
        if part == "[key]":
            continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
    return path, value


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes out no number of thousands of digits
        return "that cannot be written out"
    return text if len(text) <= 60 else text[:57] + "..."
