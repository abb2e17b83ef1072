"""Masks of dropout follow from the row of the global batch: not from processes, micro-batches, layout or device."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from guidance_study.execution.distributed import Group
from guidance_study.training import loop
from guidance_study.training.dropout import kept, keyed
from test_training import TRAINING, problem, train

STEPS = 10


class Meeting:
    """Where threads add up tensors, in the order of their ranks."""

    def __init__(self, size: int):
        self.barrier, self.told = threading.Barrier(size, timeout=60), {}


@dataclass(frozen=True)
class Thread(Group):
    """A thread in the place of a process."""

    meeting: Meeting | None = None

    def add_up(self, tensors):
        told, barrier = self.meeting.told, self.meeting.barrier
        told[self.rank] = [tensor.clone() for tensor in tensors]
        barrier.wait()
        for tensor, *parts in zip(tensors, *(told[rank] for rank in range(self.size)), strict=True):
            tensor.copy_(sum(parts))
        barrier.wait()

    def agreed(self, number, device):
        return number


def trained(folder, size: int = 1, micro_batch: int | None = None) -> list[dict]:
    """Weights, by rank, of a training in float64 with dropout 0.5 on `size` threads."""
    meeting, local = Meeting(size), threading.local()
    problems = [problem(dropout=0.5) for _ in range(size)]  # here: threads would share the seed of the weights

    @contextmanager
    def joined(device):
        yield Thread(local.rank, size, meeting)

    def one(rank: int) -> dict:
        local.rank = rank
        network, draws, loss = problems[rank]
        network.double()
        doubled = lambda step: tuple(t.double() for t in draws(step))  # noqa: E731
        training = TRAINING | {"steps": STEPS, "micro_batch": micro_batch}
        return loop.fit(network, doubled, loss, training, seed=0, purpose="test", checkpoints=folder)[0]

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(size) as pool:
        patch.setattr(loop, "joined", joined)
        return list(pool.map(one, range(size)))


@pytest.mark.parametrize(("size", "micro_batch"), [(1, 1), (1, 2), (1, 4), (2, None), (2, 1), (3, 2)])
def test_processes_and_micro_batches_train_to_the_same_weights(tmp_path, size, micro_batch):
    """But for the order of sums over n = 8 rows: n eps in a gradient, which Adam magnifies by lr / 1e-8 at the most."""
    alone, *_ = trained(tmp_path / "alone")
    bound = 8 * np.finfo(np.float64).eps * STEPS * TRAINING["lr"] / 1e-8
    for weights in trained(tmp_path / "together", size, micro_batch):
        assert all((weights[name] - alone[name]).abs().max() < bound for name in alone)
    other = train(tmp_path / "none", TRAINING | {"steps": STEPS})[0]  # no dropout: another result
    assert any((other[name] - alone[name]).abs().max() > 1000 * bound for name in alone)


def row_keys(rows: int, layers: int, step: int = 0, seed: int = 0) -> torch.Tensor:
    network = torch.nn.Sequential(*(torch.nn.Dropout(0.5) for _ in range(layers)))
    draws, _ = keyed(network, lambda step: (), None, batch=rows, seed=seed, purpose="test")
    return draws(step)[-1]


def test_steps_layers_rows_and_seeds_have_masks_of_their_own():
    x = torch.ones(4, 1000)
    masks = [kept(row_keys(4, 3, step, seed)[:, layer], x, 0.5)
             for step in (0, 1) for seed in (0, 1) for layer in range(3)]  # fmt: skip
    rows = torch.cat(masks).numpy()  # 48 masks of 1000 units
    same = (rows[:, None] == rows[None]).mean(axis=2)[~np.eye(len(rows), dtype=bool)]
    assert abs(same - 0.5).max() < 6 * math.sqrt(0.25 / 1000)
    assert torch.equal(kept(row_keys(4, 3)[:, 1], x, 0.5), kept(row_keys(4, 3)[:, 1], x, 0.5))


@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9])
def test_rates_are_binomial_in_rows_and_units_and_pairs_independent(p):
    rows, units = 2000, 512
    mask = kept(row_keys(rows, 1)[:, 0], torch.ones(rows, units), p).double().numpy()
    deviation = math.sqrt(p * (1 - p))
    assert abs(mask.mean() - (1 - p)) < 4 * deviation / math.sqrt(mask.size)
    assert abs(mask.mean(axis=1) - (1 - p)).max() < 6 * deviation / math.sqrt(units)
    assert abs(mask.mean(axis=0) - (1 - p)).max() < 6 * deviation / math.sqrt(rows)
    together = np.corrcoef(mask.T)[~np.eye(units, dtype=bool)]
    assert abs(together).max() < 7 / math.sqrt(rows)


def mixed(h: int) -> int:
    """MurmurHash3's finalizer."""
    h = (h ^ h >> 16) * 0x85EBCA6B % 2**32
    h = (h ^ h >> 13) * 0xC2B2AE35 % 2**32
    return h ^ h >> 16


def test_a_mask_is_the_documented_one_in_any_layout():
    keys, p = row_keys(3, 1)[:, 0], 0.3
    x = torch.ones(3, 4, 5, 6)
    expected = [
        ((a % 2**32) * mixed(j) + b % 2**32) % 2**32 >= p * 2**32 for a, b in keys.tolist() for j in range(4 * 5 * 6)
    ]
    assert kept(keys, x, p).flatten().tolist() == expected
    last = x.to(memory_format=torch.channels_last)
    assert torch.equal(kept(keys, last, p), kept(keys, x, p))
    assert kept(keys, last, p).is_contiguous(memory_format=torch.channels_last)


def test_what_is_kept_is_scaled_and_inference_keeps_all():
    layer = torch.nn.Dropout(0.25)
    draws, loss = keyed(layer, lambda step: (torch.ones(5, 100),), layer, batch=5, seed=0, purpose="test")
    found = loss(*draws(0))
    assert sorted(found.unique().tolist()) == [0, pytest.approx(4 / 3)]
    assert torch.equal(layer.eval()(torch.ones(5, 100)), torch.ones(5, 100))
    assert not layer.state_dict()
    unchanged = keyed(torch.nn.Dropout(0.0), draws, loss, batch=5, seed=0, purpose="test")
    assert unchanged == (draws, loss)
