"""Stage `denoiser`: a base model eps(x_t, t, c), trained by Eq. (2), the class dropped at random."""

import numpy as np
import torch

from guidance_study import networks
from guidance_study.jobs import Job
from guidance_study.models import save_weights, set_up
from guidance_study.processes.ddpm import DDPM
from guidance_study.randomness import generator, torch_seed
from guidance_study.training import fit

PURPOSE = "train/denoiser"


def make(job: Job) -> None:
    """Files: weights.safetensors (EMA), losses.npy (steps,) float32."""
    params, device = job.params, set_up()
    with torch_seed(params["seed"], PURPOSE + "/weights"):
        network = networks.build(params["network"], tuple(params["shape"]), params["rows"]).to(device)
    process = DDPM(**params["process"])
    eps = process.denoiser(network)
    data = torch.from_numpy(np.load(job.inputs["dataset"].path / "train.npy")).to(device)
    labels = torch.from_numpy(np.load(job.inputs["dataset"].path / "train_labels.npy")).to(device)

    def loss(step: int) -> torch.Tensor:
        draw, batch = generator(params["seed"], PURPOSE, step), params["training"]["batch"]
        rows = torch.from_numpy(draw.integers(len(data), size=batch)).to(device)
        t = torch.from_numpy(draw.integers(process.steps, size=batch)).to(device)
        noise = torch.from_numpy(draw.standard_normal((batch, *data.shape[1:]), dtype=np.float32)).to(device)
        label = None
        if params["class_dropout"] is not None:
            dropped = torch.from_numpy(draw.random(batch) < params["class_dropout"]).to(device)
            label = torch.where(dropped, params["rows"] - 1, labels[rows])  # the last row means "no class"
        return process.loss(eps, data[rows], label, t, noise)

    state, losses = fit(
        network, loss, params["training"], seed=params["seed"], purpose=PURPOSE, checkpoints=job.checkpoints
    )
    save_weights(state, job.out / "weights.safetensors")
    np.save(job.out / "losses.npy", losses.numpy())
    job.facts["parameters"] = sum(p.numel() for p in network.parameters())
