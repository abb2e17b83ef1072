"""Generations do not depend on how they are batched, sharded or ordered; a pool has equal shares of its scales."""

import math

import numpy as np
import pytest
import torch
from guidance_study.datasets.digits import COUNTS, Digits
from guidance_study.guidance import BASE, Model
from guidance_study.stages.samples import Generator, classes_of, model_of
from guidance_study.store.rows import drawn, shares
from guidance_study.support.randomness import Draws, torch_seed
from guided import DDPM, rule, sampler
from random_weights import build
from rounding import distance, rounding, roundings

pytestmark = pytest.mark.numeric

MLP = {"kind": "residual_mlp", "width": 64, "blocks": 2}


@pytest.fixture(scope="module")
def models():
    with torch_seed(0, "weights"):
        base = build(MLP, (1, 8, 8), 11).eval()
        plain = build(MLP, (1, 8, 8), 0).eval()
        linear = build({"kind": "linear"}, (1, 8, 8), 10, True).eval()
    denoisers = {"classifier_free": Model(DDPM.denoiser(base), 10), "classifier": Model(DDPM.denoiser(plain), None)}
    return denoisers, linear, roundings(base) + roundings(linear)


@pytest.mark.parametrize("kind", ["classifier_free", "classifier"])
@pytest.mark.parametrize("by", ["ddim", "ancestral"])
def test_batches_of_7_and_64_in_1_and_3_shards_give_the_same_images(models, kind, by):
    denoisers, linear, count = models
    parts = {BASE: denoisers[kind]}, {"classifier": linear}
    generator = Generator(DDPM, sampler(by, steps=10, clip_x0="after_guidance"), rule(kind), *parts, (1, 8, 8), 10)

    def images(size: int, bounds: list[tuple[int, int]]) -> torch.Tensor:
        ranges = [(a, min(a + size, last)) for first, last in bounds for a in range(first, last, size)]
        return torch.cat([generator.generate(Draws(0, "evaluation", a, b), 2.5)[0] for a, b in ranges])

    # Kernels may sum otherwise for another batch. Guidance enlarges a difference in eps by scale + |1 - scale|, the
    # steps from noise to data by 1 / sqrt(abar) of the first, unless clipping ends it.
    bound = 2 * rounding(count) * (2.5 + 1.5) / math.sqrt(DDPM.abar[-1])
    whole = images(64, [(0, 300)])
    assert whole.shape == (300, 1, 8, 8)
    for size, bounds in [
        (7, [(0, 300)]),
        (64, [(0, 100), (100, 210), (210, 300)]),
        (7, [(0, 1), (1, 257), (257, 300)]),
    ]:
        assert distance(images(size, bounds), whole) < bound < 0.01


def test_shares_are_equal_and_in_order():
    assert shares([1, 2, 3], 8).tolist() == [1, 1, 1, 2, 2, 2, 3, 3]
    assert shares([2.5], 2).tolist() == [2.5, 2.5]


def test_measured_generations_take_the_same_draws_at_every_scale_and_those_of_a_pool_their_own():
    recipe = {"scales": [1.0, 2.0, 3.0], "n": 8}
    assert drawn({**recipe, "purpose": "evaluation"}).tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert drawn({**recipe, "purpose": "pool"}).tolist() == list(range(8))


def test_digits_are_what_the_plan_was_told():
    spec = Digits(kind="digits")
    arrays, facts = spec.load(), spec.facts()
    assert arrays.train.shape[1:] == facts.shape
    assert tuple(np.bincount(arrays.train_labels)) == facts.train_counts
    assert tuple(np.bincount(arrays.held_out_labels)) == facts.held_out_counts
    assert tuple(a + b for a, b in zip(facts.train_counts, facts.held_out_counts, strict=True)) == COUNTS
    assert arrays.train.dtype == np.float32
    assert arrays.train.min() == -1
    assert arrays.train.max() == 1
    both = np.concatenate([arrays.train, arrays.held_out]).reshape(1797, -1)
    assert len(np.unique(both, axis=0)) == 1797  # no image in both parts


def test_digits_refuse_another_file(monkeypatch, tmp_path):
    from guidance_study.datasets import DatasetError, digits

    other = tmp_path / "digits.csv.gz"
    other.write_bytes(b"x")
    monkeypatch.setattr(digits, "_raw_file", lambda: other)
    with pytest.raises(DatasetError, match=r"SHA-256 .* pinned is 09f66e"):
        Digits(kind="digits").load()
    monkeypatch.setattr(digits, "_raw_file", lambda: tmp_path / "none")
    with pytest.raises(DatasetError, match="pip install scikit-learn"):
        Digits(kind="digits").load()


@pytest.mark.parametrize(
    ("network", "dropout", "rows", "null"),
    [
        (MLP, 0.1, 11, 10),
        (MLP, 0.0, 10, None),  # its last row is a class
        (MLP, None, 0, None),
        ({"kind": "song_unet", "model_channels": 32}, 0.0, 11, 10),  # one that always has a row for it
    ],
)
def test_no_class_is_never_the_last_class(network, dropout, rows, null):
    """The plan's rows of a model of ten classes, and the label that guidance takes for "no class"."""
    params = {"network": network, "class_rows": rows, "class_dropout": dropout}
    assert classes_of(params) == (10 if rows else 0)
    model = model_of(DDPM, lambda x, time, label: x, params)
    assert model.null == null
    if null is None:
        with pytest.raises(ValueError, match="has no branch without a class"):
            model.both(torch.zeros(2, 3), torch.zeros(2, dtype=torch.long), torch.zeros(2, dtype=torch.long))
