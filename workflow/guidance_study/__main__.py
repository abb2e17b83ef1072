"""`python -m guidance_study`: look at the plan, explain a result, verify the store, run without Snakemake."""

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TextIO

from guidance_study import commands
from guidance_study.support.errors import StudyError
from guidance_study.support.writing import REFUSALS


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors of the user's are one sentence on stderr and exit status 2."""
    options = _parser().parse_args(arguments)
    try:
        status = int(options.command(options))
        sys.stdout.flush()
        return status
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        _silent(sys.stdout)
        return 0
    except KeyboardInterrupt:
        print("stopped; run again to go on", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        _silent(sys.stdout)  # what is left in its buffer has no place either
        print(f"error: {_where(error)}: {REFUSALS[error.errno]}", file=sys.stderr)
        return 2


def _where(error: OSError) -> str:
    return f"'{os.fsdecode(error.filename)}' cannot be used" if error.filename else "the output cannot be written"


def _silent(stream: TextIO) -> None:
    """Let what is written to a stream from now on, and what it still holds, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


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
