"""FID's Inception from pytorch-fid's file: its features, its resizing, and what is refused in its place."""

import numpy as np
import pytest
import torch
from guidance_study.config import seams
from guidance_study.networks.models.layouts import layout_of
from guidance_study.networks.models.weights import WeightsError
from guidance_study.networks.modules.inception import SIDE, FIDInception, resized
from random_weights import drawn
from safetensors.torch import save_file

pytestmark = pytest.mark.numeric
# pytorch-fid 0.3.0's network (github.com/mseitzer/pytorch-fid), by the weights and images below: every 200th feature.
THEIRS = [
    [0.0031, 0.0143, 0.3586, 0.1282, 0.1735, 0.0, 0.0628, 0.0005, 0.7186, 0.5839, 0.1109],
    [0.0055, 0.0194, 0.3675, 0.1308, 0.1661, 0.0, 0.0623, 0.0, 0.753, 0.5872, 0.0984],
]


@pytest.fixture(scope="module")
def network() -> FIDInception:
    """Weights such that features follow the image: convolutions of He's size, small shifts."""
    made = drawn(FIDInception()).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            parameter.mul_(0.1 if name.endswith("bn.bias") else 1 if name.endswith("bn.weight") else 2**0.5)
    return made


def images() -> torch.Tensor:
    coarse = torch.rand(2, 3, 7, 7, generator=torch.Generator().manual_seed(1)) * 255
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")


def test_features_are_pytorch_fids(network):
    with torch.no_grad():
        found = network(images())
    assert found.shape == (2, 2048)
    assert found[:, ::200] == pytest.approx(torch.tensor(THEIRS), abs=2e-4)


@pytest.mark.parametrize("side", [8, 32, 299, 400])
def test_resizing_is_tensorflows_of_then(side):
    """Written out: pixel i of the result lies at i side / 299 of the image, whose last pixel stands for all beyond."""
    image = torch.rand(1, 2, side, 5, dtype=torch.float64)
    found = resized(image)
    for i, j in ((0, 0), (1, 298), (150, 77), (298, 298)):
        y, x = i * side / SIDE, j * 5 / SIDE
        (a, b), (c, d) = ((int(v), min(int(v) + 1, n - 1)) for v, n in ((y, side), (x, 5)))
        rows = image[..., a, :] + (y - a) * (image[..., b, :] - image[..., a, :])
        assert torch.allclose(found[..., i, j], rows[..., c] + (x - c) * (rows[..., d] - rows[..., c]))


def test_an_imported_file_is_an_embedding(network, tmp_path):
    state = network.state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    name, found = layout_of(state)
    assert (name, found.entry) == ("inception", {"kind": "inception"})
    save_file(found.state, tmp_path / "inception.safetensors")
    (tmp_path / "inception.safetensors.sha256").unlink(missing_ok=True)
    from guidance_study.support.writing import sha256

    weights = {"path": str(tmp_path / "inception.safetensors"), "sha256": sha256(tmp_path / "inception.safetensors")}
    embedding = seams.parse("embeddings", {"kind": "inception", "weights": weights})
    samples = np.linspace(-1, 1, 2 * 3 * 32 * 32, dtype=np.float32).reshape(2, 3, 32, 32)
    features = embedding.embed(samples, embedding.network())
    pixels = torch.from_numpy(np.rint((samples + 1) * 127.5))
    with torch.no_grad():
        assert features == pytest.approx(network(pixels).numpy(), abs=1e-4)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fc.weight": torch.zeros(1000, 2048)}, "has 1000 classes, FID's Inception 1008"),
        ({"AuxLogits.fc.bias": torch.zeros(1008)}, "has an unknown AuxLogits.fc.bias"),
        ({"Mixed_5b.branch1x1.conv.weight": torch.zeros(64, 192, 3, 3)}, "another shape has Mixed_5b"),
    ],
)  # fmt: skip
def test_another_inception_is_refused(network, changed, said):
    state = network.state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    with pytest.raises(WeightsError, match=said):
        layout_of(state | changed)
