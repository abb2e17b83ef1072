"""How many samples an artefact is of and about how large it will be, from its recipe, before anything is made."""

from math import prod

from guidance_study.config import seams
from guidance_study.config.facts import UNKNOWN, Facts
from guidance_study.plan.recipes import Artefact
from guidance_study.support.params import Params

FLOAT32 = 4  # bytes
# Images of a class in a folder that is not there yet: as ImageNet has.
GUESSED = {"train": 1300, "judge": 0, "held_out": 50}


def rows(artefact: Artefact) -> int:
    """Samples that an artefact is of; 0 for those of none."""
    if artefact.stage == "dataset":
        return sum(part_rows(artefact, part) for part in ("train", "judge", "held_out"))
    if artefact.stage == "features":
        images = artefact.inputs["images"]
        return part_rows(images, artefact.params["part"]) if images.stage == "dataset" else rows(images)
    if "real" in artefact.params and artefact.stage == "postprocessed":
        return int(artefact.params["real"]["n"])
    if artefact.stage in ("postprocessed", "neighbours"):
        return rows(artefact.inputs["samples"])
    return int(artefact.params["n"]) if artefact.stage == "samples" else 0


def part_rows(dataset: Artefact, part: str) -> int:
    """Samples of a part, train, judge or held_out, of a dataset; of classes that nobody has counted yet a guess."""
    facts = _facts(dataset)
    counts = {"train": facts.train_counts, "judge": facts.judge_counts, "held_out": facts.held_out_counts}[part]
    return sum(GUESSED[part] if n == UNKNOWN else n for n in counts)


def _facts(dataset: Artefact) -> Facts:
    assert dataset.facts is not None, f"'{dataset.address}' is no dataset"
    return dataset.facts


def shape(artefact: Artefact) -> tuple[int, ...]:
    """The shape of one sample of a dataset, or of generations."""
    if artefact.stage == "dataset":
        return _facts(artefact).shape
    if artefact.stage == "postprocessed":
        return shape(artefact.inputs["dataset" if "real" in artefact.params else "samples"])
    return tuple(artefact.inputs["denoiser"].params["shape"])


def width(embedding: Params, images: Artefact) -> int:
    """Numbers of the features of one sample in a neighbour space."""
    return int(seams.parse("embeddings", embedding).numbers(shape(images)))


def numbers(artefact: Artefact) -> int:
    """Numbers of one row of an artefact's largest array; 0 where that is small."""
    if artefact.stage in ("dataset", "samples", "postprocessed"):
        return prod(shape(artefact))
    if artefact.stage == "features":
        return width(artefact.params["embedding"], artefact.inputs["images"])
    return 4 * artefact.params["k"] if artefact.stage == "neighbours" else 0  # an index and a distance of 8 bytes each


def expected_bytes(artefact: Artefact) -> int:
    """About how large an artefact's arrays will be; 0 where they are small."""
    n = rows(artefact)
    return FLOAT32 * n * numbers(artefact) if n else 0


def readable(size: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
