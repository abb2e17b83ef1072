"""Templates filled in: what is put into them is escaped."""

from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).with_name("templates")


def rendered(template: str, **values: Any) -> str:
    """A template of this folder with these values; a value that it names and lacks is an error of ours."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = lambda number: "–" if number is None else f"{number:.3g}"
    return environment.get_template(template).render(**values) + "\n"
