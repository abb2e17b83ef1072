"""Stale artefacts: made from other bytes than their inputs hold now, or from nobody knows which, or from a stale one.

An address says how an artefact is made. Made again, on another machine or by a choice that the recipe leaves open, an
input may have other bytes; what was made from the old ones would stand beside it and contradict it.
"""

import contextlib
from collections.abc import Iterable
from functools import cache

from guidance_study.store.artefacts import STALE, DamagedArtefact, Store, content
from guidance_study.support.progress import log
from guidance_study.support.writing import explained


def stale(store: Store, addresses: Iterable[str]) -> dict[str, str]:
    """Address -> why it is stale, of those that are; inputs that are not there, or damaged, are no reason."""

    @cache
    def manifest(address: str) -> dict | None:
        with contextlib.suppress(DamagedArtefact):
            return store.manifest(address)
        return None

    @cache
    def reason(address: str) -> str | None:
        made = manifest(address)
        if made is None:
            return None
        for source in dict.fromkeys(made["recipe"]["inputs"].values()):
            now = manifest(source)
            if now and "inputs" not in made:
                return "its manifest does not say which bytes it was made from"
            if now and made["inputs"].get(source) != content(now):
                return f"it was made from other bytes of '{source}' than there are now"
            if reason(source):
                return f"it was made from '{source}', which is stale"
        return None

    return {address: why for address in addresses if (why := reason(address))}


def set_aside(store: Store, addresses: Iterable[str]) -> int:
    """Move stale artefacts out of the way, below results/.stale, each with a line in the log; how many there were.

    What killed jobs left of finished artefacts goes too.
    """
    store.drop_leftovers(addresses)
    found = stale(store, addresses)
    for address, why in found.items():
        target, n = store.root / STALE / address, 0
        while (place := target.with_name(f"{target.name}@{n}")).exists():
            n += 1
        with explained(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            (store.root / address).rename(place)
        log(f"stale: '{address}': {why}; it is set aside as '{place}' and made anew when it is needed")
    return len(found)


def problems(store: Store, addresses: Iterable[str]) -> list[str]:
    """One sentence for each stale artefact."""
    return [f"stale: '{address}': {why}" for address, why in stale(store, addresses).items()]
