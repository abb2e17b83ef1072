"""List the artefacts of some targets: which are there, which would be made, what is missing for them."""

from argparse import ArgumentParser, Namespace

from guidance_study.commands.shared import planned, takes_configuration, takes_targets


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    takes_targets(parser)
    takes_configuration(parser)


def run(options: Namespace) -> int:
    from guidance_study.store.lineage import status

    _, plan, targets = planned(options)
    for line in status(plan, targets, options.results):
        print(line)
    return 0
