"""How many samples an artefact is of and about how large it will be, from its recipe, before anything is made."""

from math import prod

from guidance_study.plan.recipes import Artefact

FLOAT32 = 4  # bytes
WIDTH = 2048  # numbers that a pretrained network makes of an image (Inception, ResNet-50); DINOv2: 768
IMAGENET, HELD_OUT = 1300, 50  # images a class of a folder of images, as ImageNet has, to train on and held out
DIGITS = 1797


def rows(artefact: Artefact) -> int:
    """Samples that an artefact is of; 0 for those of none."""
    if artefact.stage == "dataset":
        return part_rows(artefact, "train") + part_rows(artefact, "held_out")
    if artefact.stage == "features":
        images = artefact.inputs["images"]
        return part_rows(images, artefact.params["part"]) if images.stage == "dataset" else rows(images)
    if artefact.stage in ("postprocessed", "neighbours"):
        return rows(artefact.inputs["samples"])
    return artefact.params["n"] if artefact.stage == "samples" else 0


def part_rows(dataset: Artefact, part: str) -> int:
    """Samples of a part, train or held_out, of a dataset; of a folder of images a guess from its classes."""
    params = dataset.params
    if f"{part}_counts" in params:
        return sum(params[f"{part}_counts"])
    if params["kind"] == "image_folder":
        return params["classes"] * (IMAGENET if part == "train" else HELD_OUT)
    if "train" in params:
        return params[part]
    return DIGITS if part == "train" else 0


def numbers(artefact: Artefact) -> int:
    """Numbers of one row of an artefact's largest array."""
    params = artefact.params
    if artefact.stage == "samples":
        return prod(artefact.inputs["denoiser"].params["shape"])
    if artefact.stage == "postprocessed":
        return numbers(artefact.inputs["samples"])
    if artefact.stage == "features":
        return 4 * (params["embedding"]["resize"] // 8) ** 2 if params["embedding"]["kind"] == "vae" else WIDTH
    if artefact.stage == "neighbours":
        return 4 * params["k"]  # an index and a distance of 8 bytes each
    sizes = {"mnist": 28 * 28, "cifar10": 3 * 32 * 32, "digits": 64}
    return params["channels"] * params["size"] ** 2 if "size" in params else sizes.get(params.get("kind"), 2)


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
