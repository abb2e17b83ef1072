"""What Snakemake's report says below tables and figures, of those of the default configuration."""

from types import SimpleNamespace

import docutils.core
import pytest
from conftest import TOP
from guidance_study.plan.plan import Plan
from guidance_study.support.text import as_rst
from jinja2 import Environment, StrictUndefined


@pytest.mark.parametrize("stage", ["table", "figure"])
def test_captions_say_the_title_and_what_is_shown(parsed, stage):
    caption = Environment(undefined=StrictUndefined).from_string(
        (TOP / "workflow" / "report" / f"{stage}.rst").read_text()
    )
    shown = [a for a in Plan(parsed()).targets.values() if a.stage == stage]
    assert shown
    for artefact in shown:
        said = caption.render(
            snakemake=SimpleNamespace(
                params=SimpleNamespace(
                    recipe=artefact.recipe, caption=as_rst(artefact.recipe["params"]["spec"]["title"])
                )
            )
        )
        spec = artefact.recipe["params"]["spec"]
        assert docutils.core.publish_doctree(said.split("\n")[0]).astext() == f"{spec['title']}."
        for key in ("experiments", "trajectories") if stage == "figure" else ():
            names = spec.get(key, [])
            assert not names or f"{key}: {names if isinstance(names, str) else ', '.join(names)}." in said
