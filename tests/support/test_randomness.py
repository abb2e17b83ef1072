"""Stateless draws: equal for equal keys, whatever the range they are asked for in, and standard normal."""

import numpy as np
import pytest
import torch
from guidance_study.support.randomness import BLOCK, generator, normal, torch_seed, uniform


def test_a_range_is_a_part_of_any_larger_range():
    whole = normal(0, "x", 0, 3 * BLOCK + 17, (2, 3))
    for first, last in [(0, 1), (5, 5), (BLOCK - 1, BLOCK + 1), (7, 3 * BLOCK + 17), (2 * BLOCK, 3 * BLOCK)]:
        assert np.array_equal(normal(0, "x", first, last, (2, 3)), whole[first:last])
    assert whole.dtype == np.float32
    assert np.array_equal(uniform(1, "u", 200, 300), uniform(1, "u", 0, 999)[200:300])


def test_seed_purpose_and_index_each_matter():
    draws = [generator(s, p, i).random() for s, p, i in [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1)]]
    assert len(set(draws)) == 4


def test_moments_and_independence_of_neighbouring_blocks():
    x = normal(3, "moments", 0, 40_000, (4,)).astype(np.float64)
    assert abs(x.mean()) < 5 / np.sqrt(x.size)
    assert abs((x**2).mean() - 1) < 5 * np.sqrt(2 / x.size)
    first, second = x[:BLOCK].ravel(), x[BLOCK : 2 * BLOCK].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)


def test_descending_range_is_an_error():
    with pytest.raises(ValueError, match=r"4\.\.2"):
        normal(0, "x", 4, 2, (1,))


def test_torch_seed_is_keyed_and_leaves_the_callers_stream_alone():
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    with torch_seed(0, "weights"):
        first = torch.rand(3)
    assert torch.equal(torch.rand(2), expected)
    with torch_seed(0, "weights"):
        assert torch.equal(torch.rand(3), first)
    with torch_seed(1, "weights"):
        assert not torch.equal(torch.rand(3), first)
