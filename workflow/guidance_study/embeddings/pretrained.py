"""What embeddings with a pretrained network share: weights usual for them, images as tensors."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def completed(data: Any, usual: dict) -> Any:
    """Unvalidated values of an embedding with its `weights` filled in from `usual`, unless they name another file."""
    given = data.get("weights", {}) if isinstance(data, dict) else None
    if not isinstance(given, dict) or "path" in given:
        return data
    return data | {"weights": usual | given}


def as_tensor(samples: "np.ndarray", resize: int | None = None, eight_bits: bool = False) -> "Tensor":
    """Samples (N, 1 or 3, H, W), numpy, as a tensor (N, 3, H, W) on the run's device, or (N, 3, resize, resize).

    Bicubic with antialiasing, as Pillow's; like the samples' own, its overshoots are clipped to [-1, 1]. With
    eight_bits by Pillow itself, from and to 8 bits.
    """
    import numpy as np
    import torch
    from torch.nn.functional import interpolate

    from guidance_study.metrics.images import rgb
    from guidance_study.networks.models import device

    if resize is not None and eight_bits:
        samples, resize = _by_pillow(samples, resize), None
    images = torch.from_numpy(np.array(rgb(samples), dtype=np.float32)).to(device())
    if resize is not None:
        images = interpolate(images, (resize, resize), mode="bicubic", antialias=True)
    return images.clamp(-1, 1)


def _by_pillow(samples: "np.ndarray", side: int) -> "np.ndarray":
    """Samples (N, 1 or 3, H, W) as files of 8 bits would hold them, resized by Pillow, (N, 3, side, side)."""
    import numpy as np
    from PIL import Image

    from guidance_study.metrics.images import rgb, to_uint8

    files = (Image.fromarray(image.transpose(1, 2, 0)) for image in to_uint8(rgb(samples)))
    resized = [np.asarray(file.resize((side, side), Image.Resampling.BICUBIC)).transpose(2, 0, 1) for file in files]
    return np.stack(resized).astype(np.float32) / 127.5 - 1
