"""Write the digest of a file of weights, or the index of a folder of images, beside it."""

from argparse import ArgumentParser, Namespace
from pathlib import Path


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("path", type=Path, nargs="+", help="files of weights, folders of images")


def run(options: Namespace) -> int:
    from guidance_study.sources.rawfiles import write_pin
    from guidance_study.sources.rawfolders import write_index

    for path in options.path:
        digest = write_index(path)["digest"] if path.is_dir() else write_pin(path)
        print(f"{digest}  {path}")
    return 0
