"""`python -m guidance_study`: look at the plan, explain a result, verify the store, run without Snakemake."""

import argparse
import os
import sys
from pathlib import Path

from guidance_study.errors import StudyError

TOP = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors of the user's are one sentence on stderr and exit status 2."""
    from guidance_study.config.loading import ConfigError

    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (ConfigError, StudyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _plan(options):
    from guidance_study.config.loading import load
    from guidance_study.plan import Plan

    study = load([options.config, *options.configfile])
    plan = Plan(study)
    targets = options.target or list(study.all)
    for name in targets:
        if name not in plan.targets:
            known = ", ".join(plan.targets)
            raise StudyError(f"'{name}' is no table or figure of this configuration; declared are {known}")
    return study, plan, targets


def plan(options) -> int:
    """List the artefacts of some targets: which are there, which would be made, what is missing for them."""
    from guidance_study.lineage import status

    _, planned, targets = _plan(options)
    for line in status(planned, targets, options.results):
        print(line)
    return 0


def explain(options) -> int:
    """Print every recipe, commit, machine and duration behind a table, a figure or an artefact."""
    from guidance_study.lineage import lineage

    for line in lineage(options.file, options.results):
        print(line)
    return 0


def pin(options) -> int:
    """Write the digest of a file of weights, or the index of a folder of images, beside it."""
    from guidance_study.rawfiles import write_pin
    from guidance_study.rawfolders import write_index

    for path in options.path:
        digest = write_index(path)["digest"] if path.is_dir() else write_pin(path)
        print(f"{digest}  {path}")
    return 0


def verify(options) -> int:
    """Recompute the digests of artefacts; name what is damaged and exit with 1 if anything is."""
    from guidance_study.publishing import damages as published_damages
    from guidance_study.store import Store

    store = Store(options.results)
    addresses = options.address or store.addresses()
    damages = [damage for address in addresses for damage in store.damages(address)]
    if not options.address:
        damages += published_damages(store)
    for damage in damages:
        print(damage)
    print(f"{len(addresses)} artefacts, {len(damages)} damaged files")
    return 1 if damages else 0


def run(options) -> int:
    """Make some targets in this one process, without Snakemake."""
    from guidance_study import jobs
    from guidance_study.progress import log
    from guidance_study.publishing import publish_all
    from guidance_study.rawfiles import export_places
    from guidance_study.rulebook import Lock, export_settings, warn_of_changed_code, write_index
    from guidance_study.store import Store

    study, planned, targets = _plan(options)
    warn_of_changed_code()
    export_settings(study)
    export_places(planned.raw_files())
    jobs.prepare_process(study.execution.threads)
    from guidance_study.devices import claim  # and torch with it, after the thread counts are fixed

    claim(study.execution.devices)
    store = Store(options.results)
    with Lock(options.results):
        write_index(planned, options.results)
        publish_all(planned, options.results)
        todo = [a for a in planned.ancestors(targets) if not store.has(a)]
        for i, artefact in enumerate(todo, 1):
            log(f"[{i}/{len(todo)}] {artefact.about}")
            jobs.run_job(artefact.recipe, artefact.address, options.results)
    print(f"{len(todo)} artefacts made; tables and figures are in {options.results}")
    return 0


def provenance(options) -> int:
    """Write how everything behind some targets was made, as RO-Crate metadata for other programs."""
    from guidance_study.provenance import METADATA, crate, text_of
    from guidance_study.store import atomic_write

    _, planned, targets = _plan(options)
    record, out = crate(planned, targets, options.results), options.out or options.results / METADATA
    atomic_write(out, text_of(record).encode())
    made = sum(entity["@type"] == "CreateAction" for entity in record["@graph"])
    print(f"{out}: the {made} artefacts behind {', '.join(targets)}, every digest verified")
    return 0


def disk(options) -> int:
    """Print what the store takes by stage and by target, and how much of it no target needs."""
    from guidance_study.disk import needed, report

    for line in report(options.results, needed(options.config, options.configfile)):
        print(line)
    return 0


def clean(options) -> int:
    """Say what no target needs, and with --yes delete it."""
    from guidance_study.disk import clean as cleaned
    from guidance_study.disk import needed

    for line in cleaned(options.results, needed(options.config, options.configfile), options.yes):
        print(line)
    return 0


def code(options) -> int:
    """Check the recorded digests of the stages' code, or record the present code of some stages as the same."""
    from guidance_study.code_digests import check, record

    if options.same_results:
        record(options.same_results)
    problems = check()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def schema(options) -> int:
    """Print the JSON schema of the configuration; workflow/schemas/config.schema.json holds a copy."""
    from guidance_study.config.schema import reference_text, schema_text

    print(reference_text() if options.markdown else schema_text(), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m guidance_study", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for function in (plan, explain, verify, run, provenance, disk, clean, pin, code, schema):
        sub = commands.add_parser(function.__name__, help=function.__doc__.splitlines()[0])
        sub.set_defaults(command=function)
        sub.add_argument("--results", type=Path, default=Path("results"), help="folder of the store (default: results)")
        if function in (plan, run, provenance):
            sub.add_argument("target", nargs="*", help="tables and figures (default: `all` of the configuration)")
        if function in (plan, run, provenance, disk, clean):
            sub.add_argument("--config", type=Path, default=TOP / "config.yaml", help="base configuration")
            sub.add_argument("--configfile", type=Path, nargs="+", default=[], help="overlays, in order")
        if function is provenance:
            sub.add_argument("--out", type=Path, help="the file (default: ro-crate-metadata.json in the store)")
        elif function is clean:
            sub.add_argument("--yes", action="store_true", help="delete it; without, it is only said")
        elif function is explain:
            sub.add_argument("file", type=Path, help="a table, a figure, or a file or folder of an artefact")
        elif function is pin:
            sub.add_argument("path", type=Path, nargs="+", help="files of weights, folders of images")
        elif function is verify:
            sub.add_argument("address", nargs="*", help="addresses below results (default: all)")
        elif function is schema:
            sub.add_argument("--markdown", action="store_true", help="as docs/configuration.md, for readers")
        elif function is code:
            sub.add_argument("--same-results", nargs="+", metavar="STAGE", help="stages whose results did not change")
    return parser


if __name__ == "__main__":
    sys.exit(main())
