"""EDM's augmentations: images go where their numbers say, and the network is told nothing of those left alone."""

import math

import pytest
import torch
from guidance_study.support.randomness import generator
from guidance_study.training import augment

pytestmark = pytest.mark.numeric


def picture() -> torch.Tensor:
    """One bright spot off the centre, (1, 1, 9, 9)."""
    image = torch.full((1, 1, 9, 9), -1.0)
    image[0, 0, 2, 3] = 1.0
    return image


def moved(**changes) -> torch.Tensor:
    names = ("flip_x", "flip_y", "scale", "angle", "axis", "stretch", "shift_x", "shift_y")
    a = torch.tensor([[changes.get(name, 0.0) for name in names]])
    return augment.apply(picture(), a)


def test_augmentations_move_an_image_as_their_numbers_say():
    assert torch.allclose(moved(), picture(), atol=1e-5)
    assert torch.allclose(moved(flip_x=1), picture().flip(3), atol=1e-5)
    assert torch.allclose(moved(flip_y=1), picture().flip(2), atol=1e-5)
    assert torch.allclose(moved(angle=math.pi / 2), picture().rot90(1, (2, 3)), atol=1e-4)
    right = moved(shift_x=8 / 9)  # a ninth of the side: one pixel
    assert right[0, 0].argmax() == 2 * 9 + 4
    down = moved(shift_y=8 / 9)
    assert down[0, 0].argmax() == 3 * 9 + 3
    assert float((moved(scale=2.0) + 1).sum()) > 1.5 * float((picture() + 1).sum())
    assert float((moved(stretch=1.0) + 1).sum()) == pytest.approx(2.0, abs=0.6)  # an area stays


# Every third pixel of what EDM's release (NVlabs/edm at 008a4e5) makes of `blobs()`, printed to three digits.
TURNED = {
    ("angle", 0.7206504405447328): [
        [-0.955, -0.601, 0.4, 0.939, 0.057],
        [-0.967, -0.704, 0.042, 0.445, -0.212],
        [-0.99, -0.913, -0.692, -0.574, -0.768],
        [-0.997, -0.959, -0.849, -0.854, -0.955],
        [-0.988, -0.802, -0.276, -0.4, -0.887],
    ],
    ("axis", -1.2099981307983398): [  # a stretch of 1.541 along it
        [-0.999, -0.966, -0.618, 0.151, -0.079],
        [-0.997, -0.97, -0.589, 0.623, 0.704],
        [-0.962, -0.938, -0.775, 0.124, 0.548],
        [-0.798, -0.579, -0.84, -0.614, -0.309],
        [-0.656, 0.095, -0.576, -0.917, -0.849],
    ],
}


def blobs() -> torch.Tensor:
    """Two smooth bumps on 32 x 32 pixels: resampling filters hardly matter."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    first = torch.exp(-((x - 0.35) ** 2 + (y + 0.2) ** 2) / 0.08)
    return (2 * (first + 0.6 * torch.exp(-((x + 0.3) ** 2 + (y - 0.4) ** 2) / 0.05)) - 1)[None, None]


@pytest.mark.parametrize("which", TURNED)
def test_images_are_turned_and_stretched_as_edms_release_does_for_the_same_label(which):
    name, angle = which
    names = ("flip_x", "flip_y", "scale", "angle", "axis", "stretch", "shift_x", "shift_y")
    values = {name: angle} | ({"stretch": 1.5409960746765137} if name == "axis" else {})
    found = augment.apply(blobs(), torch.tensor([[values.get(key, 0.0) for key in names]]))
    expected = torch.tensor(TURNED[which])
    # Another filter, on bumps of 3 pixels: a few hundredths; turned the other way: more than 0.5.
    assert (found[0, 0, 9:24:3, 9:24:3] - expected).abs().max() < 0.1


def test_the_network_is_told_nothing_of_images_left_alone():
    a = augment.draws(generator(0, "augment"), 4000, 0.12)
    told = augment.told(torch.from_numpy(a))
    assert told.shape == (4000, 9)
    untouched = (a == 0).all(1)
    assert (told[torch.from_numpy(untouched)] == 0).all()
    assert untouched.mean() == pytest.approx(0.5 * 0.94 * 0.88**5, abs=0.03)  # mirrors show half the time
    assert (a[:, 0] != 0).mean() == pytest.approx(0.5, abs=0.03)
    for used in (a[:, 2] != 0, a[:, 3] != 0, a[:, 5] != 0, a[:, 7] != 0):
        assert used.mean() == pytest.approx(0.12, abs=0.02)
    assert (a[:, 4] != 0).mean() == pytest.approx(0.06, abs=0.02)
    assert (a[a[:, 4] != 0, 5] != 0).all()
