"""Stateless randomness: every draw comes from a generator keyed by (seed, purpose, index).

So a resumed training repeats the draws of its steps, and sample i is the same in every batch, shard and device.
Draws are float32 on the CPU (Philox, 128-bit key from a SHA-256) and moved afterwards.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 256  # samples that share a generator: one generator a sample would cost more than its draws


def generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """The generator of (seed, purpose, index); equal arguments give equal draws."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest[:16], dtype=np.uint64)))


def normal(seed: int, purpose: str, first: int, last: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal draws (last - first, *shape), float32, for the samples first..last-1 whatever the batching."""
    return _by_block(first, last, shape, lambda b: _standard_normal(generator(seed, purpose, b), shape))


def uniform(seed: int, purpose: str, first: int, last: int) -> np.ndarray:
    """Uniform draws (last - first,) in [0, 1), float64, for the samples first..last-1 whatever the batching."""
    return _by_block(first, last, (), lambda b: generator(seed, purpose, b).random(BLOCK))


def _standard_normal(source: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return source.standard_normal((BLOCK, *shape), dtype=np.float32)


def _by_block(first: int, last: int, shape: tuple[int, ...], draw) -> np.ndarray:
    if not 0 <= first <= last:
        raise ValueError(f"sample range {first}..{last} must be ascending and not negative")
    blocks = [draw(b) for b in range(first // BLOCK, -(-last // BLOCK))]
    if not blocks:
        return np.empty((0, *shape), dtype=np.float32)
    start = first - first // BLOCK * BLOCK
    return np.concatenate(blocks)[start : start + last - first]


@dataclass(frozen=True)
class Draws:
    """What is drawn for the samples first..last-1 of a purpose: for each the same, whatever the batching."""

    seed: int
    purpose: str
    first: int
    last: int

    def normal(self, what: str, shape: tuple[int, ...]) -> "Tensor":
        """Standard normal draws (last - first, *shape), float32, on the CPU; `what` tells draws of a sample apart."""
        import torch

        return torch.from_numpy(normal(self.seed, f"{self.purpose}/{what}", self.first, self.last, shape))

    def uniform(self, what: str) -> "Tensor":
        """Uniform draws (last - first,) in [0, 1), float64, on the CPU."""
        import torch

        return torch.from_numpy(uniform(self.seed, f"{self.purpose}/{what}", self.first, self.last))


@contextmanager
def torch_seed(seed: int, purpose: str, index: int = 0) -> Iterator[None]:
    """Seed torch's global generators inside the block (initial weights, dropout) and restore the CPU's after it."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()[:7], "big"))
        yield
