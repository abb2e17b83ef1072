"""Stage `classifier`: p(c | x_t) for guidance (noisy), or a clean classifier for features and evaluation."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from guidance_study.config import seams
from guidance_study.config.weights import Weights
from guidance_study.execution.job import Job
from guidance_study.metrics.accuracy import accuracy
from guidance_study.networks.models import features, outside, placed, predicted, save_weights, set_up
from guidance_study.support.randomness import generator, torch_seed
from guidance_study.support.reading import read_array
from guidance_study.training.loop import fit


def make(job: Job) -> None:
    """Files: weights.safetensors (EMA), losses.npy (steps,) float32, empty where the weights came from outside.

    A trained clean one's manifest has its accuracy.
    """
    params = job.params
    set_up()
    spec, noisy = seams.parse("networks", params["network"]), params["process"] is not None
    purpose = f"train/classifier/{'noisy' if noisy else 'clean'}"
    with torch_seed(params["seed"], purpose + "/weights"):
        network = spec.build(tuple(params["shape"]), params["classes"], noisy)
    if params["weights"] is not None:
        state, losses = outside(spec, network, Weights(**params["weights"])), torch.zeros(0)
    else:
        network = placed(network)
        state, losses = train(job, network, purpose)
    save_weights(state, job, "classifier")
    np.save(job.out / "losses.npy", losses.numpy())
    if params["weights"] is None and not noisy:
        network.load_state_dict(state)
        folder = job.inputs["dataset"].path
        guesses = predicted(network, features(network, read_array(folder / "held_out.npy")))
        job.facts["held_out_accuracy"] = accuracy(guesses, read_array(folder / "held_out_labels.npy"))


def train(job: Job, network: nn.Module, purpose: str) -> tuple[dict[str, Tensor], Tensor]:
    """The EMA weights and the losses: cross entropy on images, or on what the process makes of them."""
    params, device = job.params, next(network.parameters()).device
    process = seams.parse("processes", params["process"]) if params["process"] else None
    folder = job.inputs["dataset"].path
    data = torch.from_numpy(read_array(folder / f"{params['part']}.npy")).to(device)
    labels = torch.from_numpy(read_array(folder / f"{params['part']}_labels.npy")).to(device)

    def draws(step: int) -> tuple[Tensor, ...]:
        draw, batch = generator(params["seed"], purpose, step), params["training"]["batch_size"]
        drawn = [draw.integers(len(data), size=batch)]
        if process is not None:
            drawn += [process.times(draw, batch), draw.standard_normal((batch, *data.shape[1:]), dtype=np.float32)]
        return tuple(map(torch.from_numpy, drawn))

    def loss(rows: Tensor, t: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        if process is None or t is None or noise is None:
            return cross_entropy(network(data[rows]), labels[rows])
        return cross_entropy(network(process.noised(data[rows], t, noise), process.time(t)), labels[rows])

    return fit(
        network, draws, loss, params["training"], seed=params["seed"], purpose=purpose, checkpoints=job.checkpoints
    )
