"""Write how everything behind some targets was made, as RO-Crate metadata for other programs."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from guidance_study.commands.shared import planned, takes_configuration, takes_targets


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    takes_targets(parser)
    takes_configuration(parser)
    parser.add_argument("--out", type=Path, help="the file (default: ro-crate-metadata.json in the store)")


def run(options: Namespace) -> int:
    from guidance_study.store.provenance import METADATA, crate, text_of
    from guidance_study.support.writing import atomic_write

    _, plan, targets = planned(options)
    record, out = crate(plan, targets, options.results), options.out or options.results / METADATA
    atomic_write(out, text_of(record).encode())
    made = sum(entity["@type"] == "CreateAction" for entity in record["@graph"])
    print(f"{out}: the {made} artefacts behind {', '.join(targets)}, every digest verified")
    return 0
