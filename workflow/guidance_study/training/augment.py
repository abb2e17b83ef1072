"""EDM's augmentations (Karras et al. 2022, App. F.2 and Tab. 6): images are moved, and the network is told how.

Eight numbers a_0..a_7 say what happened to an image, all 0 where nothing did: mirror x, mirror y (0 or 1), log-scale,
angle, axis and strength of a stretch, shift x, shift y. As in EDM's CIFAR-10 training, mirror x is drawn for every
image, and the axis of a stretch is turned for half of them. Our deviation: a single bicubic resampling with reflected
borders in place of EDM's band-limited one.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SCALE = 2**0.2  # of an image at a_2 = 1, and its stretch at a_5 = 1
SHIFT = 1 / 8  # of the image's side at a_6 = 1


def draws(source: np.random.Generator, batch: int, probability: float) -> np.ndarray:
    """a (batch, 8) float32; each augmentation but mirror x is used with this probability (the stretch has two a's)."""
    flips = source.integers(2, size=(batch, 2))
    angles = source.uniform(-np.pi, np.pi, size=(batch, 2))
    normals = source.standard_normal((batch, 4))
    a = np.concatenate([flips, normals[:, :1], angles, normals[:, 1:]], axis=1)
    used = source.random((batch, 7)) < probability
    used[:, 0] = True
    a[:, 4] *= source.random(batch) < 0.5
    return (a * used[:, [0, 1, 2, 3, 4, 4, 5, 6]]).astype(np.float32)


def told(a: Tensor) -> Tensor:
    """What the network is told of a (N, 8): (N, 9), zero where nothing happened. Angles as cosine and sine."""
    rotation = [a[:, 3].cos() - 1, a[:, 3].sin()]
    stretch = [a[:, 5] * a[:, 4].cos(), a[:, 5] * a[:, 4].sin()]
    return torch.stack([a[:, 0], a[:, 1], a[:, 2], *rotation, *stretch, a[:, 6], a[:, 7]], dim=1)


def apply(images: Tensor, a: Tensor) -> Tensor:
    """The images (N, C, H, W) after mirror, scale, rotation, stretch and shift, in this order; the same shape.

    As in EDM's release, positive angles turn an image counter-clockwise as it is seen: y points down here.
    """
    moved = _rotation(-a[:, 4]) @ _scaling(SCALE ** a[:, 5], SCALE ** -a[:, 5]) @ _rotation(a[:, 4])
    moved = moved @ _rotation(-a[:, 3]) @ _scaling(SCALE ** a[:, 2], SCALE ** a[:, 2])
    moved = moved @ _scaling(1 - 2 * a[:, 0], 1 - 2 * a[:, 1])  # content goes to moved @ (x, y) + shift
    shift = 2 * SHIFT * a[:, 6:8, None]  # grid_sample's image is 2 wide
    back = torch.linalg.inv(moved)
    grid = F.affine_grid(torch.cat([back, -back @ shift], dim=2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="reflection", align_corners=False)


def _rotation(angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], dim=1), torch.stack([sin, cos], dim=1)], dim=1)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y], dim=1))
