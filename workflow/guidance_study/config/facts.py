"""What the plan knows of a dataset without opening it."""

from dataclasses import dataclass, replace

UNKNOWN = 10**9  # samples of a class that nobody has counted yet: passes every check of "enough"


@dataclass(frozen=True)
class Facts:
    """Shape of a sample, samples of each class in each part, raw file -> SHA-256.

    Models, flows and neighbours are of the training part, judges may be of the judges' part, the held-out part is real
    data that nothing learns from.
    """

    shape: tuple[int, ...]
    train_counts: tuple[int, ...]
    held_out_counts: tuple[int, ...]
    raw: dict[str, str]
    judge_counts: tuple[int, ...] = ()

    @property
    def classes(self) -> int:
        return len(self.train_counts)

    def apart(self, share: float) -> "Facts":
        """With a share of the training samples of every class, rounded, set apart for judges."""
        if UNKNOWN in self.train_counts:
            return replace(self, judge_counts=tuple(UNKNOWN if share else 0 for _ in self.train_counts))
        judges = tuple(round(share * n) for n in self.train_counts)
        train = tuple(n - judge for n, judge in zip(self.train_counts, judges, strict=True))
        return replace(self, train_counts=train, judge_counts=judges)
