"""FID's Inception (Heusel et al. 2017), under the names of pytorch-fid's file of its weights.

It is torchvision's Inception v3 with the pools of the TensorFlow network that FID was defined by: means that leave the
border's zeros out, and a maximum in the last block.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.inception import Inception3

SIDE, CLASSES = 299, 1008  # pixels that it sees; classes of the layer that FID leaves out
AVERAGED = ("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7b")


class FIDInception(Inception3):
    """Features (N, 2048) of images (N, 3, H, W) in [0, 255]."""

    def __init__(self) -> None:
        super().__init__(num_classes=CLASSES, aux_logits=False, transform_input=False, init_weights=False)
        self.fc = nn.Identity()
        for name in AVERAGED:
            self.get_submodule(name).branch_pool.register_forward_pre_hook(_without_zeros)
        last: dict[str, Tensor] = {}
        self.Mixed_7c.register_forward_pre_hook(lambda _, given: last.update(x=given[0]))
        self.Mixed_7c.branch_pool.register_forward_pre_hook(lambda *_: F.max_pool2d(last["x"], 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Resized as TensorFlow 1 did, and brought to [-1, 1) as the network's authors did."""
        found: Tensor = super().forward((resized(x) - 128) / 128)
        return found


def _without_zeros(_: nn.Module, given: tuple[Any, ...]) -> Tensor:
    """Means over 3 x 3 pixels that count the zeros around the image, as means that do not."""
    (mean,) = given
    return mean / F.avg_pool2d(mean.new_ones(1, 1, *mean.shape[2:]), 3, 1, 1)


def resized(x: Tensor) -> Tensor:
    """Images (N, C, H, W) at SIDE pixels by TensorFlow 1's bilinear rule: pixel i lies at i * H / SIDE."""
    for dim in (2, 3):
        length = x.shape[dim]
        place = torch.arange(SIDE, device=x.device, dtype=x.dtype) * (length / SIDE)
        low = place.long().clamp(max=length - 1)
        weight = (place - low).reshape(-1, *[1] * (3 - dim))
        one, other = x.index_select(dim, low), x.index_select(dim, (low + 1).clamp(max=length - 1))
        x = one + weight * (other - one)
    return x
