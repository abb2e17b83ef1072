"""Recompute the digests of artefacts; name what is damaged or stale and exit with 1 if anything is."""

from argparse import ArgumentParser, Namespace


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("address", nargs="*", help="addresses below results (default: all)")


def run(options: Namespace) -> int:
    from guidance_study.store.artefacts import Store
    from guidance_study.store.publishing import damages as published_damages
    from guidance_study.store.stale import problems
    from guidance_study.support.errors import StudyError

    store = Store(options.results)
    addresses = options.address or store.addresses()
    if not addresses:
        raise StudyError(f"'{options.results}' holds no artefact; name the store with --results")
    damages = [damage for address in addresses for damage in store.damages(address)]
    if not options.address:
        damages += published_damages(store)
    stale = problems(store, addresses)
    for said in damages + stale:
        print(said)
    also = f", {len(stale)} stale artefacts" if stale else ""
    print(f"{len(addresses)} artefacts, {len(damages)} damaged files{also}")
    return 1 if damages or stale else 0
