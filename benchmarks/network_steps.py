"""The UNets of the paper's MNIST and CIFAR-10 against torchcfm's, on a CPU in float32. Prints JSON.

python benchmarks/network_steps.py [mnist] [cifar10] [--compile] [--busy]

--compile: torch.compile as one more variant. --busy: for a machine with other work, one thread and its CPU time.
Both sides get the same weights and inputs, and their outputs and gradients must agree. A step is forward, backward,
gradient clipping, optimiser and average of the weights: on torchcfm's side as in its CIFAR-10 example (Adam, LambdaLR,
a loop over the state dict), on ours as in training.py (fused AdamW, foreach). Rounds alternate, medians are compared.
With them: the processor, its instruction sets, and the share of the matrix-product peak that direct convolutions reach.
"""

import copy
import functools
import importlib
import importlib.util
import json
import os
import statistics
import sys
import time
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from guidance_study.execution import jobs, kernels

BUSY = "--busy" in sys.argv[1:]
THREADS, CLOCK = (1, time.process_time) if BUSY else (2, time.perf_counter)
ROUNDS, TRAINED, SAMPLED = 5, {"mnist": 16, "cifar10": 8}, 16  # the last two: samples in a batch
jobs.prepare_process(THREADS)
kernels.set_kernel_cache()

import torch  # noqa: E402 - after the thread counts are fixed
from guidance_study.config import seams  # noqa: E402
from guidance_study.networks.modules import winograd  # noqa: E402

MNIST = {"num_res_blocks": 2, "channel_mult": [1, 2]}
CIFAR10 = {**MNIST, "channel_mult": [1, 2, 2, 2], "num_heads": 4, "num_head_channels": 64, "dropout": 0.1}
CASES = {  # name: shape, options of both sides, attention for ours (factors) and for torchcfm (sides; 1: nowhere)
    "mnist": ((1, 28, 28), MNIST, [], "1"),
    "cifar10": ((3, 32, 32), CIFAR10, [2], "16"),
}
LAYERS = ((16, 128, 28), (16, 256, 14), (8, 128, 32), (8, 256, 16))  # both networks' widest: samples, channels, side


@functools.cache
def wrapper():
    """torchcfm's UNet class. The package itself would import optimal transport, which nothing here needs."""
    found = importlib.util.find_spec("torchcfm")
    if found is None:
        raise SystemExit("torchcfm is not installed: `pip install --no-deps torchcfm`, then run this again")
    package = types.ModuleType("torchcfm")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["torchcfm"] = package
    return importlib.import_module("torchcfm.models.unet").UNetModel


def pair(name: str):
    """torchcfm's network and ours, as functions of (x, time), with the same weights; no layer starts at zero."""
    shape, options, factors, sides = CASES[name]
    torch.manual_seed(0)
    theirs = wrapper()(shape, 128, attention_resolutions=sides, **options)
    for parameter in theirs.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    spec = {"kind": "unet", "model_channels": 128, "attention_resolutions": factors, **options}
    ours = seams.parse("networks", spec).build(shape, 0)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


def their_step(network, x, t):
    average, network = copy.deepcopy(network), network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step, 5000) / 5000)

    def step() -> None:
        optimizer.zero_grad()
        torch.mean((network(t, x) - x) ** 2).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        source, target = network.state_dict(), average.state_dict()
        for key in source:
            target[key].data.copy_(target[key].data * 0.9999 + source[key].data * (1 - 0.9999))

    return step


def our_step(network, x, t):
    parameters = list(network.train().parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=2e-4, fused=True)

    def step() -> None:
        (network(x, t, None) - x).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1e-4)

    return step


def inference(function):
    def step() -> None:
        with torch.no_grad():
            function()

    return step


def medians(steps: dict) -> dict[str, float]:
    """Milliseconds of each step, after one to warm up; the rounds alternate among them."""
    taken = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(ROUNDS):
        for name, step in steps.items():
            began = CLOCK()
            step()
            taken[name].append(1e3 * (CLOCK() - began))
    return {name: statistics.median(values) for name, values in taken.items()}


def difference(theirs, ours, x, t) -> float:
    """The largest relative difference of output and gradients, as root mean squares; dropout is off."""
    found = []
    for network, given in ((theirs.eval(), (t, x)), (ours.eval(), (x, t, None))):
        y = network(*given)
        found.append([y.detach(), *torch.autograd.grad(y.square().mean(), list(network.parameters()))])
    return max(((a - b).norm() / a.norm()).item() for a, b in zip(*found, strict=True))


def variants(ours, compiled: bool) -> dict:
    """Our network as it is, as `models.placed` makes it, and compiled."""
    last = copy.deepcopy(ours).to(memory_format=torch.channels_last)
    found = {"contiguous": ours, "channels_last": last}
    return found | ({"compiled": torch.compile(copy.deepcopy(last))} if compiled else {})


def compare(name: str, compiled: bool) -> dict:
    theirs, ours = pair(name)
    batch, shape = TRAINED[name], CASES[name][0]
    x, t = torch.randn(SAMPLED, *shape), torch.rand(SAMPLED)
    result = {"difference": difference(theirs, ours, x[:batch], t[:batch])}
    if result["difference"] > 1e-4:
        raise SystemExit(
            f"the two networks of '{name}' differ by {result['difference']:.1e}: rounding gives about 1e-5"
        )
    sampled = {"torchcfm": inference(lambda: theirs(t, x))}
    for variant, network in variants(ours.requires_grad_(False), compiled).items():
        sampled[variant] = inference(lambda network=network: network(x, t, None))
    result["inference"] = ratios(medians(sampled))
    x, t = x[:batch], t[:batch]
    trained = {"torchcfm": their_step(theirs, x, t)}
    for variant, network in variants(ours.requires_grad_(True), compiled).items():
        trained[variant] = our_step(network, x, t)
    result["training"] = ratios(medians(trained))
    return result


def processor() -> dict:
    """What the figures are of."""
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "none"
    return {
        "model": jobs.processor(),
        "threads": THREADS,
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "limit_of_onednn": limit,
        "tiles": not winograd.AVX512,
        "direct_convolutions_share_of_peak": {
            f"{c} channels, {s} x {s}, batch {n}": share(n, c, s) for n, c, s in LAYERS
        },
    }


def share(n: int, channels: int, side: int) -> dict[str, float]:
    """A direct 3 x 3 convolution's operations a second over those of a big matrix product, alternating with it."""
    square = torch.randn(2048, 2048)
    x = torch.randn(n, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1).to(memory_format=torch.channels_last)
    given = torch.randn_like(x)
    steps = {
        "peak": lambda: square @ square,
        "inference": inference(lambda: layer(x)),
        "training": lambda: torch.autograd.grad(layer(x), (x, *layer.parameters()), given),
    }
    taken, one = medians(steps), 2 * 9 * n * (channels * side) ** 2
    peak = 2 * 2048**3 / taken["peak"]
    return {name: round(k * one / taken[name] / peak, 2) for name, k in (("inference", 1), ("training", 3))}


def ratios(taken: dict[str, float]) -> dict:
    """Milliseconds of each, and how many times as fast as torchcfm."""
    theirs = taken["torchcfm"]
    return {name: {"ms": round(ms), "times_as_fast": round(theirs / ms, 3)} for name, ms in taken.items()}


def main() -> None:
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    compiled, names = "--compile" in sys.argv[1:], [name for name in CASES if name in sys.argv[1:]]
    found = {"processor": processor()} | {name: compare(name, compiled) for name in names or CASES}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
