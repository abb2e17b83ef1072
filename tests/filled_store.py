"""A store for tests of looking at stores: the artefacts of a plan, finished, with small made-up files."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from guidance_study.plan.recipes import Artefact
from guidance_study.store.artefacts import Store, content
from guidance_study.support.text import canonical

RUN = {
    "seconds": 90.5,
    "started": "2025-01-31T23:59:00Z",
    "peak_memory_mib": 100.0,
    "commit": "0123abc",
    "packages": {"python": "3.11.7", "numpy": "2.0"},
    "hardware": {"host": "lab1", "cpu": "a CPU", "cores": 8, "device": "cpu"},
    "processes": 1,
}


def fill(root: Path, artefacts: Iterable[Artefact]) -> Store:
    """Write each artefact; its files hold its address and their name."""
    store = Store(root)
    for artefact in artefacts:
        made = {a.address: store.manifest(a.address) for a in artefact.inputs.values()}
        read = {address: content(manifest) for address, manifest in made.items() if manifest}
        described = {"recipe": artefact.recipe, "key": artefact.key, "inputs": read, "facts": {}, "run": RUN}
        with store.write(artefact.address, lambda described=described: described) as out:
            for name in artefact.spec.files:
                (out / name).write_text(f"{artefact.address} {name}")
    return store


def rewrite(path: Path, change: Callable[[dict], None]) -> None:
    """Change a manifest as if it had been written so."""
    manifest = json.loads(path.read_text())
    del manifest["digest"]
    change(manifest)
    digest = hashlib.sha256(canonical(manifest).encode()).hexdigest()
    path.write_text(json.dumps(manifest | {"digest": digest}))
