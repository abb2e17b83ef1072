"""A Snakemake command line once more, without what it forces: `python -P again.py ARGUMENTS`.

Snakemake's own parser reads it, profiles included: what is a target and what is forced depends on its spelling.
"""

import sys
from argparse import ArgumentParser, Namespace


def unforced(arguments: list[str]) -> tuple[ArgumentParser, Namespace]:
    """Snakemake's parser, and what it makes of a command line less --force, --forceall and --forcerun."""
    from snakemake.cli import parse_args

    parser, parsed = parse_args(arguments)
    parsed.force = parsed.forceall = False
    parsed.forcerun = set()
    return parser, parsed


if __name__ == "__main__":
    from snakemake.cli import args_to_api

    parser, parsed = unforced(sys.argv[1:])
    sys.exit(not args_to_api(parsed, parser))
