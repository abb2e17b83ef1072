"""What several commands take."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from guidance_study.support.errors import StudyError
from guidance_study.support.settings import BASE

if TYPE_CHECKING:
    from guidance_study.config.study import Study
    from guidance_study.plan.plan import Plan


def takes_targets(parser: ArgumentParser) -> None:
    """Targets, by name or address."""
    parser.add_argument(
        "target", nargs="*", help="tables, figures, pages, addresses (default: `all` of the configuration)"
    )


def takes_configuration(parser: ArgumentParser) -> None:
    """The configuration and its overlays."""
    parser.add_argument("--config", type=Path, default=BASE, help="base configuration")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="overlays, in order")


def planned(options: Namespace) -> "tuple[Study, Plan, list[str]]":
    """The study, its plan, and the targets that the command line names (default: `all` of the configuration)."""
    from guidance_study.config.loading import load
    from guidance_study.config.sentences import no_target
    from guidance_study.plan.plan import Plan

    study = load([options.config, *options.configfile])
    plan = Plan(study)
    targets = options.target or list(study.all)
    for name in targets:
        if name not in plan.targets and name not in plan.artefacts:
            raise StudyError(no_target(name, plan.targets))
    return study, plan, targets
