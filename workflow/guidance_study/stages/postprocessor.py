"""Stage `postprocessor`: a rectified flow from generations to real neighbours of their class (Eq. 9)."""

import numpy as np
import torch
from torch import Tensor

from guidance_study.config import seams
from guidance_study.execution.job import Job
from guidance_study.metrics.sets.choice import half
from guidance_study.networks.models import placed, save_weights, set_up
from guidance_study.processes import rectified_flow
from guidance_study.store.rows import chosen, scale_of
from guidance_study.support.randomness import generator, torch_seed
from guidance_study.support.reading import read_array
from guidance_study.training.loop import fit

PURPOSE = "train/postprocessor"


def target_rms(start: np.ndarray, real: np.ndarray, index: np.ndarray) -> float:
    """RMS of the targets y - x_hat of Eq. (9) over all generations and neighbours.

    The network's output is scaled by it: targets far below 1 would otherwise not be learnt.
    """
    total = sum(float(((real[column] - start) ** 2).sum(dtype=np.float64)) for column in index.T)
    return (total / (index.shape[1] * start.size)) ** 0.5


def make(job: Job) -> None:
    """Files: weights.safetensors (EMA), losses.npy (steps,) float32. A target is drawn anew at every step."""
    params, device = job.params, set_up()
    pool = job.inputs["samples"]
    mine = chosen(pool.params, params["scales"], params["n"])
    if params["half"]:
        rows = read_array(pool.path / "samples.npy")[mine], read_array(pool.path / "labels.npy")[mine]
        mine = mine[half(job, *rows, scale_of(pool.params)[mine])]
    start = read_array(pool.path / "samples.npy")[mine]
    real = read_array(job.inputs["dataset"].path / "train.npy")
    index = read_array(job.inputs["neighbours"].path / "index.npy")[mine]
    scale = target_rms(start, real, index)
    with torch_seed(params["seed"], PURPOSE + "/weights"):
        network = seams.parse("networks", params["network"]).build(tuple(params["shape"]), params["class_rows"])
    network = placed(network)
    velocity = rectified_flow.velocity(network, scale)
    start, real, index = (torch.from_numpy(a).to(device) for a in (start, real, index))  # type: ignore[assignment]
    labels = torch.from_numpy(read_array(pool.path / "labels.npy")[mine]).to(device)

    def draws(step: int) -> tuple[Tensor, ...]:
        draw, batch = generator(params["seed"], PURPOSE, step), params["training"]["batch_size"]
        rows, which = draw.integers(len(start), size=batch), draw.integers(index.shape[1], size=batch)
        return tuple(torch.from_numpy(a) for a in (rows, which, draw.random(batch, dtype=np.float32)))

    def loss(rows: Tensor, which: Tensor, s: Tensor) -> Tensor:
        return rectified_flow.loss(velocity, start[rows], real[index[rows, which]], labels[rows], s)

    state, losses = fit(
        network, draws, loss, params["training"], seed=params["seed"], purpose=PURPOSE, checkpoints=job.checkpoints
    )
    save_weights(state | {"output_scale": torch.tensor(scale)}, job, "postprocessor")
    np.save(job.out / "losses.npy", losses.numpy())
    job.facts |= {"parameters": sum(p.numel() for p in network.parameters()), "target_rms": scale}
