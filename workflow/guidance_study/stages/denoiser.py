"""Stage `denoiser`: a base model m(x_t, t, c), trained with the class dropped at random, or loaded from outside."""

import numpy as np
import torch
from torch import Tensor, nn

from guidance_study.config import seams
from guidance_study.config.weights import Weights
from guidance_study.execution.job import Job
from guidance_study.networks.models import outside, placed, save_weights, set_up
from guidance_study.support.randomness import generator, torch_seed
from guidance_study.support.reading import read_array
from guidance_study.training import augment
from guidance_study.training.loop import fit

PURPOSE = "train/denoiser"
RESIDENT = 8 * 2**30  # bytes of training data up to which they are kept on the device


def make(job: Job) -> None:
    """Files: weights.safetensors (EMA), losses.npy (steps,) float32, empty where the weights came from outside."""
    params = job.params
    set_up()
    spec = seams.parse("networks", params["network"])
    with torch_seed(params["seed"], PURPOSE + "/weights"):
        network = spec.build(tuple(params["shape"]), params["class_rows"])
    if params["weights"] is not None:
        state, losses = outside(spec, network, Weights(**params["weights"])), torch.zeros(0)
    else:
        state, losses = train(job, placed(network))
    save_weights(state, job, "denoiser")
    np.save(job.out / "losses.npy", losses.numpy())
    job.facts["parameters"] = sum(p.numel() for p in network.parameters())


def train(job: Job, network: nn.Module) -> tuple[dict[str, Tensor], Tensor]:
    """The EMA weights and the losses of Eq. (2), or of its kin in the process."""
    params, device = job.params, next(network.parameters()).device
    process = seams.parse("processes", params["process"])
    model = process.denoiser(network)
    images = read_array(job.inputs["dataset"].path / "train.npy", mmap_mode="r")
    resident = torch.from_numpy(np.array(images)).to(device) if images.nbytes <= RESIDENT else None
    labels = torch.from_numpy(read_array(job.inputs["dataset"].path / "train_labels.npy")).to(device)
    dropped = params["class_dropout"] is not None

    def draws(step: int) -> tuple[Tensor, ...]:
        draw, batch = generator(params["seed"], PURPOSE, step), params["training"]["batch_size"]
        rows, t = draw.integers(len(images), size=batch), process.times(draw, batch)
        noise = draw.standard_normal((batch, *images.shape[1:]), dtype=np.float32)
        free = draw.random(batch) < params["class_dropout"] if dropped else np.zeros(batch, dtype=bool)
        mirrored = draw.random(batch) < 0.5 if params["flip"] else np.zeros(batch, dtype=bool)
        moves = augment.draws(draw, batch, params["augment"]) if params["augment"] else np.zeros((batch, 0), np.float32)
        chosen = rows if resident is not None else images[rows]  # too many for the device: read as they are drawn
        return tuple(torch.from_numpy(a) for a in (chosen, rows, t, noise, free, mirrored, moves))

    def loss(chosen: Tensor, rows: Tensor, t: Tensor, noise: Tensor, free: Tensor, mirrored: Tensor,
             moves: Tensor) -> Tensor:  # fmt: skip
        x0 = chosen if resident is None else resident[chosen]
        if params["flip"]:
            x0 = torch.where(mirrored.reshape(-1, 1, 1, 1), x0.flip(-1), x0)
        told: tuple[Tensor, ...] = ()
        if params["augment"]:
            x0, told = augment.apply(x0, moves), (augment.told(moves),)
        label = (
            torch.where(free, params["class_rows"] - 1, labels[rows]) if dropped else None
        )  # the last row: "no class"
        return process.loss(model, x0, label, t, noise, *told)

    return fit(
        network, draws, loss, params["training"], seed=params["seed"], purpose=PURPOSE, checkpoints=job.checkpoints
    )
