"""Compare this run's number of every claim with the one that the project ships for the same training seed."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

RELATIVE, ABSOLUTE = 0.25, 0.05  # how far apart equal trainings may come out on two machines: rounding grows in them
SHIPPED = Path(__file__).parents[3] / "docs" / "reference" / "claims.json"


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("--reference", type=Path, default=SHIPPED, help="numbers to compare with (default: shipped)")


def run(options: Namespace) -> int:
    from guidance_study.support.errors import StudyError
    from guidance_study.support.reading import read_json

    board = options.results / "claims.json"
    if not board.is_file():
        raise StudyError(f"'{board}' is missing; run: snakemake --cores all claims")
    shipped = {entry["statistic"]: entry["numbers"] for entry in read_json(options.reference)["numbers"]}
    compared = apart = 0
    for claim in read_json(board)["claims"]:
        for part in claim["parts"]:
            mine, known = (part["run"] or {}).get("numbers", {}), shipped.get(part["statistic"], {})
            for seed in sorted(mine.keys() & known.keys(), key=int):
                near = close(mine[seed], known[seed])
                if not compared:
                    print(f"      {'this run':>10} {'shipped':>10}")
                compared, apart = compared + 1, apart + (not near)
                said = (
                    f"{mine[seed]:10.4g} {known[seed]:10.4g}  claim {claim['number']}, seed {seed}: {part['question']}"
                )
                print(f"{'ok   ' if near else 'apart'} {said}")
    if not compared:
        raise StudyError(f"'{board}' and '{options.reference}' share no training seed of any claim")
    print(
        f"{compared} numbers, this run's and the shipped one's; {apart} farther apart than {RELATIVE:.0%} or {ABSOLUTE}"
    )
    return 1 if apart else 0


def close(mine: float, known: float) -> bool:
    """Whether two numbers of one seed agree as far as two machines let them."""
    return abs(mine - known) <= max(ABSOLUTE, RELATIVE * abs(known))
