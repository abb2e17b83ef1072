"""Noise processes: one file each, built from the plain dict that a recipe holds.

A process offers `times(draw, batch)`, noise levels to train at; `denoiser(network)`, what the network means as a model
m(x, t, label) that guidance can wrap; `loss(m, x0, label, t, noise)`; and `sample(m, x, label, **sampler)`, x
from N(0, I). The modules that implement them are imported when one is built.
"""


def build(params: dict):
    """The process that a recipe's parameters describe: `kind` and the keyword arguments of its class."""
    fields = {name: value for name, value in params.items() if name != "kind"}
    if params["kind"] == "ddpm":
        from guidance_study.processes.ddpm import DDPM as Process
    elif params["kind"] == "edm":
        from guidance_study.processes.edm import EDM as Process
    else:
        from guidance_study.processes.rectified_flow import RectifiedFlow as Process
    return Process(**fields)
