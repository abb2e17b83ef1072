"""How many images an artefact is of and about how large it will be, from its recipe, before anything is made."""

from guidance_study.plan import resources
from guidance_study.plan.recipes import Artefact

FLOAT32 = 4
SHARED = ("samples", "features", "postprocessed")  # stages whose rows several jobs can make
ARRAYS = ("dataset", "samples", "features", "postprocessed", "neighbours")


def images_of(artefact: Artefact) -> int:
    """How many images an artefact that shards may make is of; 0 for the others."""
    return resources.rows(artefact) if artefact.stage in SHARED else 0


def expected_bytes(artefact: Artefact) -> int:
    """About how large an artefact's arrays will be; 0 where they are small."""
    return FLOAT32 * resources.rows(artefact) * resources.numbers(artefact) if artefact.stage in ARRAYS else 0


def readable(size: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
