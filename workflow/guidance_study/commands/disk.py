"""Print what the store takes by stage and by target, and how much of it no target needs."""

from argparse import ArgumentParser, Namespace

from guidance_study.commands.shared import takes_configuration


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    takes_configuration(parser)


def run(options: Namespace) -> int:
    from guidance_study.store.disk import needed, report

    for line in report(options.results, needed(options.config, options.configfile)):
        print(line)
    return 0
