"""The inverted file: the exact answer where every list is searched, a measured recall where not."""

import numpy as np
import pytest
from guidance_study.neighbours import inverted_file
from guidance_study.neighbours import search as neighbours
from guidance_study.support.errors import StudyError

pytestmark = pytest.mark.numeric


@pytest.fixture
def data():
    source = np.random.default_rng(0)
    bank = source.standard_normal((3000, 16)).astype(np.float32)
    labels = np.arange(3000) % 2
    queries = source.standard_normal((200, 16)).astype(np.float32)
    return queries, np.arange(200) % 2, bank, labels


def test_all_lists_searched_is_the_exact_answer(data):
    found, recall = inverted_file.class_neighbours(*data, 10, lists=8, probes=8)
    true = neighbours.class_neighbours(*data, 10)
    assert np.array_equal(found.index, true.index)
    assert np.array_equal(found.distance, true.distance)
    assert recall == 1.0


def test_fewer_lists_have_the_recall_that_is_reported(data):
    found, recall = inverted_file.class_neighbours(*data, 10, lists=16, probes=2)
    true = neighbours.class_neighbours(*data, 10)
    shared = [len(set(f) & set(t)) / 10 for f, t in zip(found.index.tolist(), true.index.tolist(), strict=True)]
    assert 0.2 < recall < 0.95
    assert recall == pytest.approx(np.mean(shared))
    assert (data[3][found.index] == data[1][:, None]).all()
    assert (np.diff(found.distance, axis=1) >= 0).all()


def test_small_classes_are_searched_exactly(data):
    found, recall = inverted_file.class_neighbours(*data, 10, lists=1024, probes=1)
    assert np.array_equal(found.index, neighbours.class_neighbours(*data, 10).index)
    assert recall == 1.0


def test_too_few_rows_in_the_searched_lists_is_said(data):
    with pytest.raises(StudyError, match="search more of them"):
        inverted_file.class_neighbours(*data, 200, lists=32, probes=1)
