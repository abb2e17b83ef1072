"""DINOv2 without registers against its own code, and images as tools that read files resize them."""

import numpy as np
import pytest
import timm
import torch
import weight_files
from guidance_study.config import seams
from guidance_study.support.randomness import generator
from PIL import Image
from random_weights import drawn
from torchvision import transforms

pytestmark = pytest.mark.numeric


def spec(**values):
    return seams.parse("embeddings", values)


HUB = {  # side of the images -> what DINOv2's own code (b8931f7b) computes of its ViT-S/14 without registers, with the
    # weights of `random_weights.drawn` and 500 times its positions, of noise: every 24th number of the class token
    224: [
        -3.00294, -0.122356, -1.88098, 0.685172, 1.73342, -1.05136, -0.0290876, 0.815258, -3.04491, -2.05273, -1.54732,
        0.3559, -0.122596, -0.586909, -0.539236, 0.754732,
    ],
    112: [
        -3.01608, -0.093447, -1.98226, 0.753133, 1.63131, -1.03405, -0.0288972, 0.826654, -3.08136, -2.0542, -1.553,
        0.371651, -0.183476, -0.618793, -0.652667, 0.766787,
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def without_registers(tmp_path_factory) -> dict:
    state = drawn(timm.create_model("vit_small_patch14_dinov2", num_classes=0)).state_dict()
    path = tmp_path_factory.mktemp("hub") / "vit.safetensors"
    return weight_files.written(path, {**state, "pos_embed": 500 * state["pos_embed"]})


@pytest.mark.parametrize("side", HUB)
def test_dinov2_without_registers_resamples_positions_as_its_hub_does(without_registers, side):
    network = spec(kind="timm", model="vit_small_patch14_dinov2", pool="cls", resize=side, weights=without_registers)
    noise = torch.from_numpy(generator(0, "x").standard_normal((1, 3, side, side), dtype="float32"))
    with torch.no_grad():
        found = network.network().forward_features(noise)[0, 0, ::24]
    assert found == pytest.approx(torch.tensor(HUB[side]), rel=1e-4, abs=1e-4)


def test_images_of_8_bits_are_resized_as_dgm_eval_does(without_registers):
    """Files of 8 bits, torchvision's transforms of Pillow's images, the class token."""
    made = generator(1, "x").uniform(-1.2, 1.2, (3, 3, 32, 32)).astype("float32")
    options = {"model": "vit_small_patch14_dinov2", "pool": "cls", "resize": 112, "weights": without_registers}
    ours = spec(kind="timm", resample="uint8", **options)
    network = ours.network()
    theirs = transforms.Compose([
        transforms.Resize((112, 112), transforms.InterpolationMode.BICUBIC), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    eight_bits = np.rint((made + 1) * 127.5).clip(0, 255).astype("uint8")
    files = [Image.fromarray(image.transpose(1, 2, 0)) for image in eight_bits]
    with torch.no_grad():
        expected = network(torch.stack([theirs(file) for file in files])).numpy()
    np.testing.assert_allclose(ours.embed(made, network), expected, rtol=1e-4, atol=1e-4)
    assert np.abs(spec(kind="timm", **options).embed(made, network) - expected).max() > 1e-3
