"""Tables, figures and pages under their readable names: copies, in results/tables, results/figures and results/.

The artefacts themselves are content-addressed like all others. The copies show those of the configuration that ran
last, so they are refreshed whenever a run starts and whenever a table or figure is made.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from guidance_study.config.stages import STAGES
from guidance_study.store.artefacts import DamagedArtefact, Store
from guidance_study.support.writing import atomic_write, sha256

if TYPE_CHECKING:
    from guidance_study.plan.plan import Plan


def name_of(recipe: dict) -> str | None:
    """The readable name of a table's or figure's recipe; None for other stages."""
    return recipe["params"]["name"] if STAGES[recipe["stage"]].published else None


def copies(recipe: dict) -> dict[str, str]:
    """File of the artefact -> path of its copy below results/, the manifest among them."""
    stage = STAGES[recipe["stage"]]
    base = (Path(stage.published or ".") / str(name_of(recipe))).as_posix()
    return {name: base + Path(name).suffix for name in stage.files} | {"manifest.json": f"{base}.manifest.json"}


def publish(store: Store, address: str) -> None:
    """Bring the copies of a finished table or figure up to date; the manifest goes last."""
    manifest = store.read(store.manifest_path(address))
    for name, target in copies(manifest["recipe"]).items():
        content, path = (store.root / address / name).read_bytes(), store.root / target
        if not path.is_file() or path.read_bytes() != content:
            atomic_write(path, content)


def publish_all(plan: "Plan", root: Path) -> None:
    """Bring the copies of every finished table and figure of a plan up to date."""
    store = Store(root)
    for artefact in plan.targets.values():
        if store.has(artefact) and not store.damages(artefact.address):
            publish(store, artefact.address)


def damages(store: Store) -> list[str]:
    """One sentence for each copy that is not what its manifest says."""
    found = []
    for folder in {stage.published for stage in STAGES.values() if stage.published}:
        for path in sorted((store.root / folder).glob("*.manifest.json")):
            try:
                manifest = store.read(path)
            except DamagedArtefact as error:
                found.append(str(error))
                continue
            for name, target in copies(manifest["recipe"]).items():
                copy = store.root / target
                if name in manifest["files"] and (not copy.is_file() or sha256(copy) != manifest["files"][name]):
                    found.append(f"'{copy}' is damaged: it is not the file that its manifest describes")
    return found
