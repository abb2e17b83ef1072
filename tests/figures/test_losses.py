"""Training curves: running means that are known, and names that are not."""

import numpy as np
import pytest
from guidance_study.config.loading import ConfigError
from guidance_study.figures.losses import smoothed


def test_the_running_mean_is_over_a_fiftieth_of_the_training():
    done, mean = smoothed(np.arange(200.0))
    assert done[0] == 4 / 200
    assert done[-1] == 1
    assert np.allclose(mean, np.arange(197) + 1.5)
    done, mean = smoothed(np.array([3.0, 1.0]))
    assert (done.tolist(), mean.tolist()) == ([0.5, 1.0], [3.0, 1.0])


def test_mistakes_are_sentences(parsed):
    for panel, said in (
        ({}, "names models or classifiers"),
        ({"models": ["nobody"]}, "panels.0..models.0..*nobody.*allowed are"),
        ({"classifiers": ["digits_noisy"] * 2}, "digits_noisy.*twice"),
    ):
        with pytest.raises(ConfigError, match=said):
            parsed({"figures": {"fig": {"kind": "losses", "title": "t", "panels": [{"title": "t"} | panel]}}})
