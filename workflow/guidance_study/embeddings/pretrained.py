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


def as_tensor(samples: "np.ndarray", resize: int | None = None) -> "Tensor":
    """Samples (N, 1 or 3, H, W), numpy, as a tensor (N, 3, H, W) on the run's device, or (N, 3, resize, resize).

    Bicubic with antialiasing, as Pillow's; like the samples' own, its overshoots are clipped to [-1, 1].
    """
    import numpy as np
    import torch
    from torch.nn.functional import interpolate

    from guidance_study.metrics.images import rgb
    from guidance_study.networks.models import device

    images = torch.from_numpy(np.array(rgb(samples), dtype=np.float32)).to(device())
    if resize is not None:
        images = interpolate(images, (resize, resize), mode="bicubic", antialias=True)
    return images.clamp(-1, 1)
