"""Targets of controls: each is of the sample's class, and differs from the nearest in what it controls alone."""

import numpy as np
import pytest
from guidance_study.neighbours import targets
from guidance_study.neighbours.search import class_neighbours


@pytest.fixture
def near():
    """40 samples and 60 real ones of two classes in the plane, and the 24 nearest of each sample's class."""
    draw = np.random.default_rng(0)
    x, bank = draw.standard_normal((40, 2)), draw.standard_normal((60, 2))
    labels, bank_labels = np.arange(40) % 2, np.arange(60) % 2
    return x, labels, bank, bank_labels, class_neighbours(x, labels, bank, bank_labels, 24)


def test_random_targets_are_any_of_the_class_and_none_twice(near):
    _, labels, _, bank_labels, _ = near
    index = targets.random_targets(labels, bank_labels, 5, 0)
    assert (bank_labels[index] == labels[:, None]).all()
    assert all(len(set(row)) == 5 for row in index.tolist())
    assert len(np.unique(index)) > 30  # far more than one sample has
    assert not np.array_equal(index, targets.random_targets(labels, bank_labels, 5, 1))


def test_balanced_targets_use_each_real_sample_about_equally_often_where_the_nearest_do_not(near):
    _, labels, bank, bank_labels, found = near
    x = np.zeros((40, 2))  # all generations in one place
    found = class_neighbours(x, labels, bank, bank_labels, 30)
    index = targets.balanced_targets(found, labels, bank_labels, 3)
    assert (bank_labels[index] == labels[:, None]).all()
    assert np.bincount(index.ravel(), minlength=60).max() == 2  # 20 generations times 3 over 30 real samples
    assert np.bincount(found.index[:, :3].ravel(), minlength=60).max() == 20


def test_balanced_targets_are_the_nearest_where_nobody_competes():
    bank = np.arange(10.0)[:, None]
    found = class_neighbours(bank[:5] * 2, np.zeros(5), bank, np.zeros(10), 10)
    assert targets.balanced_targets(found, np.zeros(5), np.zeros(10), 1)[:, 0].tolist() == [0, 2, 4, 6, 8]


def test_generations_whose_neighbours_are_all_taken_fall_back_on_their_nearest():
    bank = np.array([[0.0], [1.0], [50.0], [60.0]])
    found = class_neighbours(np.zeros((4, 1)), np.zeros(4), bank, np.zeros(4), 2)
    index = targets.balanced_targets(found, np.zeros(4), np.zeros(4), 1)
    assert index[:, 0].tolist() == [0, 1, 0, 0]


def test_targets_near_and_far_from_the_boundary_are_as_far_from_the_samples(near):
    x, _, bank, _, found = near
    margins = np.abs(bank[:, 0])
    index = {of: targets.by_boundary(found, margins, of) for of in (True, False)}
    assert (margins[index[True]] <= margins[index[False]]).all()
    assert margins[index[True]].mean() < margins[index[False]].mean()
    together = np.sort(np.concatenate([index[True], index[False]], 1), 1)
    assert np.array_equal(together, np.sort(found.index, 1))  # a pair is shared out
    places = [targets.at_distances(x, bank, rows).distance.mean(1) for rows in index.values()]
    gap = np.diff(found.distance, axis=1)[:, ::2].mean(1)  # within pairs
    assert (np.abs(places[0] - places[1]) <= gap + 1e-12).all()


def test_the_lowest_are_a_share_of_every_group():
    key, groups = np.array([5.0, 1, 3, 2, 9, 8]), np.array([0, 0, 0, 0, 1, 1])
    assert targets.lowest(key, groups, 0.5).tolist() == [False, True, False, True, False, True]
    assert targets.lowest(key, groups, 0.1).tolist() == [False, True, False, False, False, True]
