"""Check the recorded digests of the stages' code, or record the present code of some stages as the same."""

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("--same-results", nargs="+", metavar="STAGE", help="stages whose results did not change")


def run(options: Namespace) -> int:
    from guidance_study.plan.code import check, record

    if options.same_results:
        record(options.same_results)
    problems = check()
    for problem in problems:
        print(problem)
    return 1 if problems else 0
