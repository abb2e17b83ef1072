"""Print every recipe, commit, machine and duration behind a table, a figure or an artefact."""

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("named", help="name of a table or figure, an address, or a file below results")


def run(options: Namespace) -> int:
    from guidance_study.store.lineage import lineage

    for line in lineage(options.named, options.results):
        print(line)
    return 0
