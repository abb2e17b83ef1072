"""Say what no target needs, and with --yes delete it."""

from argparse import ArgumentParser, Namespace

from guidance_study.commands.shared import takes_configuration


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    takes_configuration(parser)
    parser.add_argument("--yes", action="store_true", help="delete it; without, it is only said")


def run(options: Namespace) -> int:
    from guidance_study.store.disk import clean as cleaned
    from guidance_study.store.disk import needed

    for line in cleaned(options.results, needed(options.config, options.configfile), options.yes):
        print(line)
    return 0
