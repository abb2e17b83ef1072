"""Are samples copies of training data?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, Metric, Row
from guidance_study.metrics.manifold import radius

if TYPE_CHECKING:
    import numpy as np

    from guidance_study.metrics.sets.images import Images, RealImages


class NearCopies(Metric):
    """Images closer to a training image, in pixels, than a share of the training images are to another one.

    Training images that are equal are one, and an image that equals one is always a copy.
    """

    kind: Literal["near_copies"]
    copy_quantile: float = 0.01
    of = ("images",)
    references = ("train",)
    columns = (Column("near_copies", "near copies"),)
    meaning = (
        "Near copies: generations that are a training image or closer to one, in pixels, than all but the closest"
        " share {copy_quantile:g} of different training images are to another; retrieval's are copies by construction."
    )

    def measure(self, one: Images, real: RealImages) -> Iterator[Row]:
        """One row, against the training images."""
        import numpy as np

        pixels = np.asarray(one.images).reshape(len(one.images), -1)
        bank = real.images["train"].reshape(len(real.images["train"]), -1)
        threshold = real.once("copy_threshold", lambda: copy_threshold(bank, self.copy_quantile))
        yield Row("near_copies", near_copies(pixels, bank, threshold), reference="train")


def near_copies(fake: np.ndarray, bank: np.ndarray, threshold: float) -> float:
    """The share, 0 to 1, of fakes (M, D) whose nearest row of the bank (N, D) is closer than the threshold, or equal.

    Features or pixels; the threshold is a Euclidean distance in their unit, see `copy_threshold`.
    ValueError: no fakes; otherwise as `search`.
    """
    from guidance_study.neighbours.search import search

    if not len(fake):
        raise ValueError("There are no fake rows to take a share of.")
    nearest = search(fake, bank, 1).distance[:, 0]
    return float(((nearest < threshold) | (nearest == 0)).mean())


def copy_threshold(bank: np.ndarray, quantile: float = 0.01) -> float:
    """A distance that only the share `quantile` of the bank's different rows (N, D) have to their nearest other one.

    0 where all are equal. ValueError: a quantile outside 0 to 1; otherwise as `search`.
    """
    import numpy as np

    if not 0 <= quantile <= 1:
        raise ValueError(f"quantile = {quantile}, but a quantile is 0 to 1.")
    different = np.unique(np.asarray(bank), axis=0)
    return float(np.quantile(radius(different, 1), quantile)) if len(different) > 1 else 0.0
