"""Images as 8 bits and as three channels, the same for every embedding, metric and figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guidance_study.support.errors import StudyError

if TYPE_CHECKING:
    import numpy as np


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1], of any shape, as uint8: rounded to nearest, clipped. The only such conversion there is.

    ValueError: a value that is not finite, which would become an arbitrary shade.
    """
    import numpy as np

    if not np.isfinite(images).all():
        raise ValueError("An image has a value that is not finite.")
    return np.rint((images + 1) * 127.5).clip(0, 255).astype(np.uint8)


def rgb(images: np.ndarray) -> np.ndarray:
    """Images (N, 1 or 3, H, W) as (N, 3, H, W): grey ones are repeated. StudyError: samples that are no images."""
    import numpy as np

    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise StudyError(f"samples of shape {images.shape[1:]} are no images: those are (1, H, W) or (3, H, W)")
    return np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images
