"""What the plan knows of a dataset without opening it."""

from dataclasses import dataclass

UNKNOWN = 10**9  # samples of a class that nobody has counted yet: passes every check of "enough"


@dataclass(frozen=True)
class Facts:
    """Shape of a sample, samples of each class in the training and in the held-out part, raw file -> SHA-256."""

    shape: tuple[int, ...]
    train_counts: tuple[int, ...]
    held_out_counts: tuple[int, ...]
    raw: dict[str, str]

    @property
    def classes(self) -> int:
        return len(self.train_counts)
