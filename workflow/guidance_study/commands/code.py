"""List units of code that are new beside a commit, or record that some of them give the same results as there.

A unit is a stage or a kind: stages/samples, guidance/classifier_free. What is made with a new one gets new addresses,
by itself; `same` is for an edit that cannot change a result, so that the old addresses stay.
"""

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("same", nargs="?", choices=["same"], help="record that UNITs give the same results")
    parser.add_argument("unit", nargs="*", metavar="UNIT", help="as listed without arguments")
    parser.add_argument("--since", default="HEAD", metavar="COMMIT", help="the code to compare with (default: HEAD)")


def run(options: Namespace) -> int:
    from guidance_study.plan import code
    from guidance_study.support.errors import StudyError

    if options.same and not options.unit:
        raise StudyError("`code same` records nothing: name at least one unit, as `code` lists them")
    with code.at_commit(options.since) as before:
        if options.same:
            code.record(code.Code(), before, options.unit)
        now = code.Code()
        new = [unit for unit in now.units() if now.revision(unit) != (before.module(unit) and before.revision(unit))]
        for unit in new:
            was = before.revision(unit) if before.module(unit) else "nothing"
            print(f"{unit:32} {now.revision(unit)}, in {options.since} {was}")
    print(f"{len(new)} units of code are new; what they make has new addresses")
    return 0
