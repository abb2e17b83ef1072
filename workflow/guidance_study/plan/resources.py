"""What a job asks a cluster for: memory, minutes and GPUs, estimated from an artefact's recipe and the attempt.

Rules of thumb, on the safe side; nothing here can change a result. Memory is what the job's arrays take, twice, beside
what the libraries take; time is arithmetic over speed, three times. Both grow with the attempt, so that a job that was
killed for too little gets more. A training goes on from its checkpoint, whatever killed it.
"""

from math import ceil, prod

from guidance_study.config.seams import parse
from guidance_study.plan.recipes import Artefact

GPU_FROM = 1e14  # floating-point operations from which a GPU is worth its queue: about an hour and a half of one core
CPU_SPEED = 2e10  # operations a second of one core, sustained
GPU_SPEED = {"float32": 1e13, "bfloat16": 5e13}  # of a GPU of 2020 or later
MERGING = 30  # minutes to verify what shards made
STEP = {0: 0.005, 1: 0.01}  # seconds that a step of training or sampling takes at least, by GPUs: launches, draws
MARGIN, START, ROUND = 3, 10, 10  # factor on the estimate; minutes to load and verify; minutes that are rounded up to
LIBRARIES = {0: 2000, 1: 8000}  # MB of PyTorch and its friends, by GPUs (0.6 to 0.8 GB measured without one)
SMALL = ("dataset", "statistics", "table", "figure", "paths", "point_measures")  # minutes on one core, never a GPU
ON_GPU = ("denoiser", "classifier", "postprocessor", "samples", "features", "postprocessed", "cost")
MAPPED = ("dataset", "samples", "features", "postprocessed", "statistics", "table", "figure")
ADAPTIVE = 150  # evaluations of Dopri5 at tight tolerances
PRETRAINED = 1e11  # operations an image of a pretrained network: DINOv2, the VAE's encoder; Inception needs a tenth
WIDTH = 2048  # numbers that a pretrained network makes of an image (Inception, ResNet-50); DINOv2: 768
IMAGENET, HELD_OUT = 1300, 50  # images a class of a folder of images, as ImageNet has, to train on and held out
DIGITS = 1797


def mem_mb(artefact: Artefact, attempt: int = 1) -> int:
    """Megabytes of main memory."""
    distances = 8 * artefact.params["manifold_n"] ** 2 / 1e6 if artefact.stage == "measures" else 0
    needed = LIBRARIES[gpus(artefact)] + 2 * sum(map(_array_mb, _held(artefact))) + distances
    return attempt * ceil(needed / 500) * 500


def runtime(artefact: Artefact, attempt: int = 1, shards: int = 1) -> int:
    """Minutes; with `shards` those of one of them."""
    gpu = gpus(artefact)
    if artefact.stage in SMALL:
        seconds = 300 + _array_mb(artefact) / 10  # 10 MB a second, for a folder of images
    else:
        speed = GPU_SPEED[_precision(artefact)] if gpu else CPU_SPEED
        seconds = max(operations(artefact) / speed, _steps(artefact) * STEP[gpu]) / shards
    return attempt * ceil((START + MARGIN * seconds / 60) / ROUND) * ROUND


def gpus(artefact: Artefact) -> int:
    """1 where a GPU saves an hour or more, else 0."""
    return int(artefact.stage in ON_GPU and (artefact.stage == "cost" or operations(artefact) >= GPU_FROM))


def operations(artefact: Artefact) -> float:
    """Floating-point operations; a training step takes three times a forward pass."""
    params, inputs = artefact.params, artefact.inputs
    if training := params.get("training"):
        return 3.0 * forward(artefact) * training["batch"] * training["steps"]
    if artefact.stage in ("samples", "cost"):
        n = params["n"] if artefact.stage == "samples" else 2 * sum(params["batches"])
        return float(n) * _steps(artefact) * forward(inputs["denoiser"])
    if artefact.stage == "postprocessed":
        return float(rows(artefact)) * ADAPTIVE * max(forward(inputs[role]) for role in params["flows"])
    if artefact.stage == "features":
        return rows(artefact) * PRETRAINED
    if artefact.stage in ("neighbours", "measures"):
        samples, dataset = inputs["samples"], inputs["dataset"]
        sets = 1 + 2 * len(params["arms"]) if artefact.stage == "measures" else 1
        return 2.0 * sets * rows(samples) * rows(dataset) * max(numbers(samples), WIDTH)
    return 0.0


def forward(trained: Artefact) -> float:
    """Operations of a network's forward pass for one sample: two a weight and place."""
    network, shape = trained.params["network"], trained.params["shape"]
    kind, values, side = network["kind"], prod(shape), shape[-1]
    if kind == "linear":
        return 2.0 * values * trained.params["classes"]
    if kind in ("mlp", "residual_mlp"):
        layers = network["layers"] if kind == "mlp" else 2 * network["blocks"]
        return 2.0 * network["width"] * (layers * network["width"] + 2 * values)
    if kind == "cnn":
        return 2.0 * 9 * 4 * (network["channels"] * side) ** 2
    blocks = network["num_blocks" if kind == "song_unet" else "num_res_blocks"]
    total = 0.0
    for level, multiple in enumerate(network["channel_mult"]):  # two 3 x 3 convolutions a block, twice as wide going up
        total += 1.5 * (2 * blocks + 1) * 2 * 9 * (network["model_channels"] * multiple * (side >> level)) ** 2
    return 2.0 * total


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


def _held(artefact: Artefact) -> list[Artefact]:
    """The artefacts whose arrays a job holds in memory whole; the rest is mapped and read in parts."""
    if artefact.stage in MAPPED:
        return []
    held = [artefact, *artefact.inputs.values()]
    if "features/train" in artefact.inputs:  # neighbours in a stored space look at no image
        held.remove(artefact.inputs["dataset"])
    return held


def _array_mb(artefact: Artefact) -> float:
    return 4 * rows(artefact) * numbers(artefact) / 1e6


def _steps(artefact: Artefact) -> int:
    """Steps of a training; evaluations of the network for one sample, both branches of guidance counted."""
    params = artefact.params
    if params.get("training"):
        return params["training"]["steps"]
    if "sampler" not in params:
        return 0
    return 2 * (parse("processes.samplers", params["sampler"]).evaluations() or ADAPTIVE)


def _precision(artefact: Artefact) -> str:
    return (artefact.params.get("training") or {}).get("precision", "float32")
