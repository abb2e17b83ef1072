"""`python -m guidance_study`: look at the plan, explain a result, verify the store, run without Snakemake."""

import argparse
import importlib
import os
import sys
from pathlib import Path

from guidance_study import commands
from guidance_study.support.errors import StudyError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors of the user's are one sentence on stderr and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m guidance_study", description=__doc__)
    choices = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in commands.NAMES:
        module = importlib.import_module(f"guidance_study.commands.{name}")
        sub = choices.add_parser(name, help=str(module.__doc__).splitlines()[0])
        sub.set_defaults(command=module.run)
        sub.add_argument("--results", type=Path, default=Path("results"), help="folder of the store (default: results)")
        module.arguments(sub)
    return parser


if __name__ == "__main__":
    sys.exit(main())
