"""Print every recipe, commit, machine and duration behind a table, a figure or an artefact."""

from pathlib import Path


def arguments(parser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("file", type=Path, help="a table, a figure, or a file or folder of an artefact")


def run(options) -> int:
    from guidance_study.store.lineage import lineage

    for line in lineage(options.file, options.results):
        print(line)
    return 0
