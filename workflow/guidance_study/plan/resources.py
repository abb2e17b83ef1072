"""What a job asks a cluster for: memory, minutes and GPUs, estimated from an artefact's recipe and the attempt.

Rules of thumb, on the safe side; nothing here can change a result. Memory is what the job's arrays and weights from
outside take, twice, beside what the libraries take; time is arithmetic over speed, three times. Both grow with the
attempt, so that a job that was killed for too little gets more. A training goes on from its checkpoint, whatever killed
it.
"""

from math import ceil

from guidance_study.config import seams
from guidance_study.config.stages import STAGES
from guidance_study.plan.recipes import Artefact
from guidance_study.plan.sizes import expected_bytes, numbers, rows, width
from guidance_study.support.params import Params

GPU_FROM = 1e14  # floating-point operations from which a GPU is worth its queue: about an hour and a half of one core
CPU_SPEED = 2e10  # operations a second of one core, sustained
GPU_SPEED = {"float32": 1e13, "bfloat16": 5e13}  # of a GPU of 2020 or later
MERGING = 30  # minutes to verify what shards made
STEP = {0: 0.005, 1: 0.01}  # seconds that a step of training or sampling takes at least, by GPUs: launches, draws
MARGIN, START, ROUND = 3, 10, 10  # factor on the estimate; minutes to load and verify; minutes that are rounded up to
LIBRARIES = {0: 2000, 1: 8000}  # MB of PyTorch and its friends, by GPUs (0.6 to 0.8 GB measured without one)
ADAPTIVE = 150  # evaluations of Dopri5 at tight tolerances
WIDTH = 2048  # numbers of a sample where it is measured, at least (Inception, ResNet-50); DINOv2: 768
PRETRAINED = 1e11  # operations an image of a pretrained network: DINOv2, the VAE's encoder; Inception needs a tenth


def mem_mb(artefact: Artefact, attempt: int = 1) -> int:
    """Megabytes of main memory."""
    sides = [metric.get("manifold_n", 0) for metric in artefact.params.get("metrics", [])]
    distances = 8 * max(sides, default=0) ** 2 / 1e6
    weights = [part.weights.size / 1e6 for part in (artefact, *artefact.inputs.values()) if part.weights]
    needed = LIBRARIES[gpus(artefact)] + 2 * sum([*map(_array_mb, _held(artefact)), *weights]) + distances
    return attempt * ceil(needed / 500) * 500


def runtime(artefact: Artefact, attempt: int = 1, shards: int = 1) -> int:
    """Minutes; with `shards` those of one of them."""
    gpu = gpus(artefact)
    if artefact.spec.small or artefact.params.get("of") in ("points", "trajectories"):
        seconds = 300 + _array_mb(artefact) / 10  # 10 MB a second, for a folder of images
    else:
        speed = GPU_SPEED[_precision(artefact)] if gpu else CPU_SPEED
        seconds = max(operations(artefact) / speed, _steps(artefact) * STEP[gpu]) / shards
    return attempt * ceil((START + MARGIN * seconds / 60) / ROUND) * ROUND


def gpus(artefact: Artefact) -> int:
    """1 where a GPU saves an hour or more, or is what is measured; else 0."""
    asks = artefact.spec.gpu
    return int(asks == "always" or (asks == "long" and operations(artefact) >= GPU_FROM))


def processes(recipe: Params, devices: int) -> int:
    """Processes that a job with this recipe trains in, of as many as may be; 1 where it trains nothing."""
    training = recipe["params"].get("training") if STAGES[recipe["stage"]].trains else None
    return min(devices, training["batch_size"]) if training else 1


def operations(artefact: Artefact) -> float:
    """Floating-point operations; a training step takes three times a forward pass."""
    params, inputs = artefact.params, artefact.inputs
    if training := params.get("training"):
        return 3.0 * forward(artefact) * float(training["batch_size"] * training["steps"])
    if artefact.stage in ("samples", "cost"):
        n = params["n"] if artefact.stage == "samples" else 2 * sum(params["batches"])
        return float(n) * _steps(artefact) * forward(inputs["denoiser"])
    if artefact.stage == "postprocessed":
        return float(rows(artefact)) * ADAPTIVE * max(forward(inputs[role]) for role in params["flows"])
    if artefact.stage == "features":
        return rows(artefact) * PRETRAINED
    if artefact.stage in ("neighbours", "measures") and "samples" in inputs:
        samples, pairs = inputs["samples"], 2.0 * rows(inputs["samples"]) * rows(inputs["dataset"])
        if artefact.stage == "neighbours":
            return pairs * width(params["embedding"], samples)
        return pairs * (1 + 2 * len(params["arms"])) * max(numbers(samples), WIDTH)
    return 0.0


def forward(trained: Artefact) -> float:
    """Operations of a network's forward pass for one sample."""
    params = trained.params
    classes = (params["classes"],) if trained.stage == "classifier" else ()
    return float(seams.parse("networks", params["network"]).operations(tuple(params["shape"]), *classes))


def _held(artefact: Artefact) -> list[Artefact]:
    """The artefacts whose arrays a job holds in memory whole; the rest is mapped and read in parts."""
    if artefact.spec.mapped:
        return []
    held = [artefact, *artefact.inputs.values()]
    if "features/train" in artefact.inputs:  # neighbours in a stored space look at no image
        held.remove(artefact.inputs["dataset"])
    return held


def _array_mb(artefact: Artefact) -> float:
    return expected_bytes(artefact) / 1e6


def _steps(artefact: Artefact) -> int:
    """Steps of a training; evaluations of the network for one sample, both branches of guidance counted."""
    params = artefact.params
    if params.get("training"):
        return int(params["training"]["steps"])
    if "sampler" not in params:
        return 0
    return 2 * (seams.parse("processes.samplers", params["sampler"]).evaluations() or ADAPTIVE)


def _precision(artefact: Artefact) -> str:
    return str((artefact.params.get("training") or {}).get("precision", "float32"))
