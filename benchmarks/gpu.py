"""What the paper's image studies take on one GPU, on synthetic data of the right shapes.

python benchmarks/gpu.py [--out FILE] [--steps N] [--small]    (--small: tiny sizes, to see that it runs; any machine)

Seconds a training step of both bases and postprocessors at full network and batch, against torchcfm's UNet in eager
float32, and with TF32 products, where torchcfm is installed (pip install --no-deps torchcfm); 50k x 50k neighbours;
embedding throughput; Dopri5 seconds an image and evaluation; and the GPU-hours of the full tables that follow. Weights
are random: speed does not depend on them. What was measured stands in FILE after each part.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "workflow"))

from guidance_study.execution import jobs  # noqa: E402

jobs.prepare_process(os.cpu_count())

import numpy as np  # noqa: E402 - after the thread counts are fixed
import torch  # noqa: E402
from guidance_study.config.loading import merge, parse, read  # noqa: E402
from guidance_study.neighbours.search import class_neighbours  # noqa: E402
from guidance_study.networks.models import placed, set_up  # noqa: E402
from guidance_study.processes import rectified_flow  # noqa: E402
from guidance_study.processes.samplers.dopri5 import solve  # noqa: E402
from guidance_study.training.loop import fit  # noqa: E402

STEPS = 10  # of a measured training run, with --steps another number; as many before it warm up
MODELS = ("cifar_edm", "cifar_flow", "mnist_conditional")
SMALL = {  # networks of --small
    **{name: {"num_res_blocks": 1, "channel_mult": [1]} for name in ("unet_mnist", "unet_flow", "unet_post")},
    "ddpmpp": {"model_channels": 16, "num_blocks": 1},
}
QUICK = {"batch_size": 4, "precision": "float32"}  # bfloat16 is emulated, very slowly, on most CPUs
FLOWS = {"cifar_edm": (3, 32), "cifar_flow": (3, 32), "mnist": (1, 28)}


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def step_seconds(network, loss, draws, training: dict, folder: Path, steps: int) -> float:
    """Seconds a step of the project's own loop, its start left out: of 2 `steps` less of `steps`, after a warm-up."""
    taken = []
    for n in (steps, steps, 2 * steps):
        run = training | {"steps": n, "warmup": 0}
        wait()
        began = time.perf_counter()
        fit(network, draws, loss, run, seed=0, purpose="benchmark", checkpoints=folder / "none")
        wait()
        taken.append(time.perf_counter() - began)
    return (taken[2] - taken[1]) / steps


def base(study, name: str, args) -> dict:
    """A training step of a base model of config/paper.yaml."""
    model, side = study.models[name], (1, 28) if name.startswith("mnist") else (3, 32)
    shape = (side[0], side[1], side[1])
    network = placed(study.networks[model.network].build(shape, 11))
    process = study.processes[model.process]
    training = model.training.plain() | (QUICK if args.small else {})
    device, batch = next(network.parameters()).device, training["batch_size"]
    data = torch.rand(2048, *shape, device=device) * 2 - 1
    m = process.denoiser(network)

    def draws(step: int):
        draw = np.random.default_rng(step)
        noise = draw.standard_normal((batch, *shape), dtype=np.float32)
        arrays = draw.integers(len(data), size=batch), process.times(draw, batch), noise, draw.integers(11, size=batch)
        return tuple(map(torch.from_numpy, arrays))

    seconds = step_seconds(
        network, lambda rows, t, noise, label: process.loss(m, data[rows], label, t, noise), draws, training, args.tmp,
        args.steps,
    )  # fmt: skip
    return {"batch": batch, "seconds_per_step": seconds, "hours": seconds * model.training.steps / 3600}


def postprocessor(study, name: str):
    """A flow's entry, its network on the device with random weights, and images to begin and end at."""
    spec, (channels, side) = study.postprocessors[name], FLOWS[name]
    network = placed(study.networks[spec.network].build((channels, side, side), 10))
    start, end = (torch.rand(2048, channels, side, side, device=next(network.parameters()).device) for _ in range(2))
    return spec, network, start * 2 - 1, end * 2 - 1


def flow(study, name: str, args) -> dict:
    """A training step of a postprocessing flow."""
    spec, network, start, end = postprocessor(study, name)
    training = spec.training.plain() | (QUICK if args.small else {})
    batch, v = training["batch_size"], rectified_flow.velocity(network, 0.3)

    def draws(step: int):
        draw = np.random.default_rng(step)
        arrays = (
            draw.integers(2048, size=batch), draw.random(batch, dtype=np.float32), draw.integers(10, size=batch),
        )  # fmt: skip
        return tuple(map(torch.from_numpy, arrays))

    loss = lambda rows, s, label: rectified_flow.loss(v, start[rows], end[rows], label, s)  # noqa: E731
    seconds = step_seconds(network, loss, draws, training, args.tmp, args.steps)
    return {"batch": batch, "seconds_per_step": seconds, "hours": seconds * spec.training.steps / 3600}


def dopri5(study, name: str, args) -> dict:
    """Seconds an image and evaluation of Dopri5 in float32; how many evaluations it takes depends on the weights."""
    spec, network, start, _ = postprocessor(study, name)
    network.requires_grad_(False)
    v, (small, large) = rectified_flow.velocity(network, 0.3), (2, 4) if args.small else (64, 512)
    found = {}
    for size in (small, small, large, large):  # the first of a size warms up
        label = torch.arange(size, device=start.device) % 10
        wait()
        began = time.perf_counter()
        with torch.no_grad():
            solution = solve(v, start[:size], label, spec.solver.rtol, spec.solver.atol)
        wait()
        found[f"batch_{size}"] = (time.perf_counter() - began) / size / solution.nfe
    return found


def torchcfm_step(args) -> dict | str:
    """torchcfm's UNet of the same sizes in its own eager float32 step (its CIFAR-10 example), batch 128."""
    try:
        from torchcfm.models.unet.unet import UNetModelWrapper
    except ImportError:
        return "not installed: pip install --no-deps torchcfm"
    device, batch = set_up(), 4 if args.small else 128
    network = UNetModelWrapper(
        dim=(3, 32, 32), num_res_blocks=2, num_channels=128, channel_mult=[1, 2, 2, 2], num_heads=4,
        num_head_channels=64, attention_resolutions="16", dropout=0.1,
    ).to(device)  # fmt: skip
    average = [p.detach().clone() for p in network.parameters()]
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-4)
    x1 = torch.rand(batch, 3, 32, 32, device=device) * 2 - 1

    def step() -> None:
        optimizer.zero_grad()
        t, x0 = torch.rand(batch, device=device), torch.randn_like(x1)
        level = t[:, None, None, None]
        loss = (network(t, (1 - level) * x0 + level * x1) - (x1 - x0)).pow(2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for mine, theirs in zip(average, network.parameters(), strict=True):
                mine.mul_(0.9999).add_(theirs, alpha=0.0001)

    found = {"batch": batch}
    for name, tf32 in (("seconds_per_step", False), ("seconds_per_step_tf32", True)):
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
        for n in (args.steps // 4 + 1, args.steps):
            wait()
            began = time.perf_counter()
            for _ in range(n):
                step()
            wait()
        found[name] = (time.perf_counter() - began) / args.steps
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return found


def neighbours(args) -> dict:
    """Seconds of the exact class-wise search of 50,000 generations among 50,000 images, k = 20."""
    n, found = 500 if args.small else 50_000, {}
    for dimension in (384, 768, 3072):
        draw = np.random.default_rng(0)
        bank, queries = (draw.standard_normal((n, dimension), dtype=np.float32) for _ in range(2))
        labels = np.arange(n) % 10
        began = time.perf_counter()
        class_neighbours(queries, labels, bank, labels, 20)
        found[f"seconds_{dimension}"] = time.perf_counter() - began
    return found


def embedding(args) -> dict:
    """Images a second of ViT-B/14 with registers at 224 pixels."""
    import timm

    device, n = set_up(), 2 if args.small else 512
    network = timm.create_model("vit_base_patch14_reg4_dinov2", num_classes=0, img_size=224).to(device).eval()
    images = torch.rand(n, 3, 224, 224, device=device)
    with torch.no_grad():
        for _ in range(2):
            wait()
            began = time.perf_counter()
            for part in images.split(256):
                network.forward_features(part)
            wait()
    return {"images_per_second": n / (time.perf_counter() - began)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    args.steps, args.tmp = (2 if args.small else args.steps), Path(tempfile.mkdtemp())
    config = merge(read(TOP / "config.yaml"), read(TOP / "config" / "paper.yaml"))
    study = parse(merge(config, {"networks": SMALL}) if args.small else config)
    device, began = set_up(), time.perf_counter()
    result = {"device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU", "small": args.small}
    result["bases"], result["flows"], result["dopri5_seconds_per_image_and_evaluation"] = {}, {}, {}

    def note() -> None:
        result["seconds"] = time.perf_counter() - began
        if args.out:
            args.out.write_text(json.dumps(result, indent=1) + "\n")

    for name in MODELS:
        result["bases"][name] = base(study, name, args)
        note()
    for name in FLOWS:
        result["flows"][name] = flow(study, name, args)
        note()
    for part in (torchcfm_step, neighbours, embedding):
        result[part.__name__] = part(args)
        note()
    for name in FLOWS:
        result["dopri5_seconds_per_image_and_evaluation"][name] = dopri5(study, name, args)
        note()
    result["gpu_hours_of_training"] = {
        "table_2": result["bases"]["cifar_edm"]["hours"] + result["flows"]["cifar_edm"]["hours"],
        "table_s1": result["bases"]["cifar_flow"]["hours"] + 4 * result["flows"]["cifar_flow"]["hours"],
    }
    note()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
