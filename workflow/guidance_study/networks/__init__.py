"""Networks, built from the plain dict that a recipe holds.

Every denoiser or velocity network maps (x, time, label) to a tensor of x's shape; every classifier maps (x,
time) to logits. The modules that implement them are imported when one is built, so that importing this
registry costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

DENOISERS = ("residual_mlp", "unet", "song_unet")
CLASSIFIERS = ("linear", "mlp", "cnn")


def build(spec: dict, shape: tuple[int, ...], rows: int) -> nn.Module:
    """Build the denoiser or velocity network that `spec` describes.

    spec: `kind` ("residual_mlp", "unet" or "song_unet") and the keyword arguments of that kind's class.
    shape: the shape of one sample, (2,) for points, (1, 8, 8) for images.
    rows: class-embedding rows, a row for "no class" included where training drops the class; 0: takes no
    class.

    The network's `forward(x, time, label)` takes x (N, *shape) float32, time (N,) float32 in [0, 1000] (of a
    "song_unet": any c_noise) and label (N,) int64 in [0, rows), None exactly when rows is 0, and returns (N,
    *shape). The last of a "song_unet"'s label values is always "no class".
    ValueError: an unknown kind, a shape that the kind cannot take; TypeError: a field that is missing or
    unknown.
    """
    kind, fields = _kind_and_fields(spec, DENOISERS, "network")
    if kind == "residual_mlp":
        from guidance_study.networks.residual_mlp import ResidualMLP as Network
    elif kind == "unet":
        from guidance_study.networks.unet import UNetModel as Network
    else:
        from guidance_study.networks.song_unet import SongUNet as Network
    return Network(tuple(shape), rows, **fields)


def build_classifier(spec: dict, shape: tuple[int, ...], classes: int, noisy: bool) -> nn.Module:
    """Build the classifier that `spec` describes.

    spec: `kind` ("linear", "mlp" or "cnn") and the keyword arguments of that kind's class.
    noisy: whether it classifies x_t and so needs `time` (N,) float32 in [0, 1000]; a clean one must not get
    it.

    `forward(x, time=None)` returns logits (N, classes); `features(x, time=None)` what the last layer sees,
    (N, F). ValueError: an unknown kind, a shape that the kind cannot take; TypeError: a field that is missing
    or unknown.
    """
    kind, fields = _kind_and_fields(spec, CLASSIFIERS, "classifier")
    if kind == "linear":
        from guidance_study.networks.classifiers import LinearClassifier as Network
    elif kind == "mlp":
        from guidance_study.networks.classifiers import MLPClassifier as Network
    else:
        from guidance_study.networks.classifiers import CNNClassifier as Network
    return Network(tuple(shape), classes, noisy, **fields)


def _kind_and_fields(spec: dict, allowed: tuple[str, ...], what: str) -> tuple[str, dict]:
    kind = spec.get("kind")
    if kind not in allowed:
        raise ValueError(f"unknown {what} kind {kind!r}: allowed are {', '.join(allowed)}")
    return kind, {name: value for name, value in spec.items() if name != "kind"}
