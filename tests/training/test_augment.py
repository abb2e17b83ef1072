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
    assert torch.allclose(moved(angle=math.pi / 2), picture().rot90(-1, (2, 3)), atol=1e-4)
    right = moved(shift_x=8 / 9)  # a ninth of the side: one pixel
    assert right[0, 0].argmax() == 2 * 9 + 4
    down = moved(shift_y=8 / 9)
    assert down[0, 0].argmax() == 3 * 9 + 3
    assert float((moved(scale=2.0) + 1).sum()) > 1.5 * float((picture() + 1).sum())
    assert float((moved(stretch=1.0) + 1).sum()) == pytest.approx(2.0, abs=0.6)  # an area stays


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
