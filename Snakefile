"""Configuration -> plan -> rules. `snakemake --cores all` builds `all:` of config.yaml; any table or figure by name."""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.20")
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from guidance_study.support.errors import StudyError


configfile: "config.yaml"


report: "workflow/report/study.rst"


try:
    # Importing it reads every kind: an incomplete one is an error of its author.
    from guidance_study.config import loading
    from guidance_study.execution.rulebook import Rulebook

    for path in workflow.configfiles:
        loading.read(
            path
        )  # Snakemake's own reader lets the second of two equal keys win
    study = loading.parse(config)
    book = Rulebook(study)
except StudyError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process:
    book.guard(workflow)


wildcard_constraints:
    artefact=r"[^/]+",


onstart:
    try:
        book.start()
    except StudyError as error:
        raise WorkflowError(str(error)) from None


onsuccess:
    try:
        if not workflow.touch:
            book.repeat(sys.argv)
    except StudyError as error:
        raise WorkflowError(str(error)) from None


rule all:
    default_target: True
    input:
        [book.targets[name] for name in study.all],


for name, files in book.targets.items():

    rule:
        name:
            name
        input:
            files,

    workflow.get_rule(name).docstring = study.targets[name].title  # snakemake --list


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/neighbours.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"
