"""Accuracy, and images in the form that pretrained networks see."""

import numpy as np
import pytest
from guidance_study.metrics.accuracy import accuracy
from guidance_study.metrics.images import rgb, to_uint8
from guidance_study.support.errors import StudyError

pytestmark = pytest.mark.numeric


def test_accuracy():
    predicted, labels = np.array([0, 1, 1, 2, 2]), np.array([0, 1, 2, 2, 2])
    assert accuracy(predicted, labels) == pytest.approx(0.8)
    with pytest.raises(ValueError, match=r"shape \(5,\) and labels of shape \(4,\)"):
        accuracy(predicted, labels[:4])
    with pytest.raises(ValueError, match="at least 1"):
        accuracy(predicted[:0], labels[:0])


def test_to_uint8_undoes_the_scaling_of_every_shade():
    shades = np.arange(256, dtype=np.uint8)
    for scaled in (shades.astype(np.float32) / 127.5 - 1, shades / 255.0 * 2 - 1, shades / np.float32(127.5) - 1):
        np.testing.assert_array_equal(to_uint8(scaled), shades)
    assert to_uint8(np.array([-7.0, -1.0, -0.999, 0.9, 1.0, 1.3])).tolist() == [0, 0, 0, 242, 255, 255]
    with pytest.raises(ValueError, match="not finite"):
        to_uint8(np.array([0.0, np.nan]))


def test_rgb():
    grey = np.arange(8.0).reshape(2, 1, 2, 2)
    assert rgb(grey).shape == (2, 3, 2, 2)
    assert (rgb(grey) == grey).all()
    colour = np.zeros((2, 3, 4, 4))
    assert rgb(colour) is colour
    with pytest.raises(StudyError, match=r"samples of shape \(2, 4, 4\) are no images"):
        rgb(np.zeros((5, 2, 4, 4)))
