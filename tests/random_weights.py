"""Networks for tests, and their every parameter drawn: what starts as almost nothing hides what lies before it."""

import math

import torch
from guidance_study.config import seams
from guidance_study.support.randomness import generator
from torch import nn


def build(spec: dict, *arguments) -> nn.Module:
    """The network of a recipe's dict: its kind's `build(*arguments)`."""
    return seams.parse("networks", spec).build(*arguments)


def drawn(network: nn.Module) -> nn.Module:
    """The network with every parameter drawn anew by its name: of size 1, so that no part hides another."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 1
            values = generator(0, name).standard_normal(parameter.shape, dtype="float32") / math.sqrt(fan_in)
            parameter.copy_(torch.from_numpy(values))
    return network
