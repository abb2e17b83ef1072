"""Embeddings against the libraries that define them: timm, clean-fid, Pillow, and numbers that diffusers gave."""

import json

import numpy as np
import pytest
import torch
import weight_files
from guidance_study.config import seams
from guidance_study.embeddings.pretrained import as_tensor
from guidance_study.metrics.images import to_uint8
from guidance_study.networks.models.weights import WeightsError
from guidance_study.support.errors import StudyError
from PIL import Image
from pydantic import ValidationError
from rounding import UNIT
from safetensors.torch import load_file

pytestmark = [
    pytest.mark.numeric,
    pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning"),  # the form of Inception's public file
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder with a file of weights of each kind, and what a configuration says of them."""
    folder = tmp_path_factory.mktemp("weights")
    return {
        "vit": weight_files.write_vit(folder / "vit.safetensors"),
        "cnn": weight_files.write_timm(folder / "cnn.safetensors", "test_resnet"),
        "vae": weight_files.write_vae(folder / "vae.safetensors"),
        "inception": weight_files.write_inception(folder / "our_own_name.pt"),
    }


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (5, 3, 20, 20)).astype(np.float32)


@pytest.fixture(scope="module")
def vit(files):
    return dinov2(files).network()


def spec(**values):
    return seams.parse("embeddings", values)


def dinov2(files, pool="cls", resize=28, weights="vit", model=weight_files.VIT):
    return spec(kind="timm", model=model, pool=pool, resize=resize, weights=files[weights])


def test_recipes_hold_digests_and_no_paths(files):
    for values in ({"kind": "timm", "pool": "cls"}, {"kind": "inception"}, {"kind": "vae"}):
        made = spec(**values, weights=files["vae"])
        assert made.stored
        assert made.plain()["weights"] == {"sha256": files["vae"]["sha256"]}
        assert spec(**json.loads(json.dumps(made.plain()))).plain() == made.plain()
    assert not spec(kind="pixels").stored
    assert not spec(kind="classifier_features").stored


def test_usual_weights():
    base, large = spec(kind="timm", pool="cls"), spec(kind="timm", pool="cls", model="vit_large_patch14_dinov2.lvd142m")
    assert base.weights.path == "data/weights/vit_base_patch14_reg4_dinov2.lvd142m.safetensors"
    assert large.weights.urls == [
        "https://huggingface.co/timm/vit_large_patch14_dinov2.lvd142m/resolve/main/model.safetensors"
    ]
    assert spec(kind="timm", pool="cls", model="resnet18").weights.urls == []  # timm publishes it under several tags
    assert spec(kind="inception").weights.sha256.startswith("f58cb9b6")
    pinned = spec(kind="vae", weights={"sha256": "0" * 64}).weights
    assert pinned.sha256 == "0" * 64
    assert pinned.path == "data/weights/sd-vae-ft-mse.safetensors"
    assert spec(kind="vae", weights={"path": "mine.safetensors"}).weights.urls == []


@pytest.mark.parametrize(
    "wrong", [{"pool": "mean"}, {"model": "hf-hub:a/b"}, {"mean": [0.5]}, {"std": [1.0, 1.0, 0.0]}, {"size": 3}]
)
def test_wrong_keys_are_one_error(wrong):
    with pytest.raises(ValidationError) as caught:
        spec(**{"kind": "timm", "pool": "cls", **wrong})
    assert caught.value.error_count() == 1


def test_dinov2_equals_timms_own_loading(files, vit, images):
    """timm's own way from a file to a smaller grid, and its tokens: one class token, four registers, patches."""
    import timm

    assert load_file(files["vit"]["path"])["pos_embed"].shape == (1, 37 * 37, 384)
    overlay = {"file": files["vit"]["path"]}
    theirs = timm.create_model(
        weight_files.VIT, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, img_size=28
    ).eval()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        tokens = theirs.forward_features((as_tensor(images, 28) / 2 + 0.5 - mean[:, None, None]) / std[:, None, None])
    assert tokens.shape == (5, 1 + 4 + 2 * 2, 384)
    for pool, expected in (("cls", tokens[:, 0]), ("patch_mean", tokens[:, 5:].mean(1))):
        found = dinov2(files, pool).embed(images, vit)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in vit.parameters())


def test_features_of_an_image_do_not_depend_on_the_others(files, vit, images):
    embedding = dinov2(files, "patch_mean")
    together, alone = embedding.embed(images, vit), embedding.embed(images[3:4], vit)
    np.testing.assert_allclose(together[3:4], alone, rtol=1e-4, atol=1e-4)
    assert np.abs(together - together[0]).max(axis=1)[1:].min() > 0.1


def test_grey_images_are_repeated(files, vit, images):
    grey = images[:, :1]
    embedding = dinov2(files)
    np.testing.assert_array_equal(embedding.embed(grey, vit), embedding.embed(np.repeat(grey, 3, axis=1), vit))
    with pytest.raises(StudyError, match=r"samples of shape \(2,\) are no images"):
        embedding.embed(np.zeros((4, 2), np.float32), vit)


def test_features_are_what_a_classifiers_head_sees(files, images):
    import timm

    whole = timm.create_model("test_resnet").eval()
    whole.load_state_dict(load_file(files["cnn"]["path"]))
    embedding = spec(
        kind="timm", model="test_resnet", pool="features", resize=64, mean=[0.5] * 3, std=[0.5] * 3,
        weights=files["cnn"],
    )  # fmt: skip
    network = embedding.network()
    assert not [name for name, _ in network.named_parameters() if name.startswith("fc.")]
    with torch.no_grad():
        seen = as_tensor(images, 64)
        expected = whole.forward_head(whole.forward_features(seen), pre_logits=True)
    np.testing.assert_allclose(embedding.embed(images, network), expected, rtol=1e-4, atol=1e-4)


def test_images_are_normalised_as_the_network_was_trained(files, images):
    """CLIP, BiT and others have a mean of their own: with ImageNet's they load, and compute something else."""
    import timm

    embedding = spec(kind="timm", model="test_resnet", pool="features", resize=64, weights=files["cnn"])
    network = embedding.network()
    said = timm.create_model("test_resnet").pretrained_cfg
    assert (embedding.mean, embedding.std) == (None, None)
    stated = spec(
        kind="timm", model="test_resnet", pool="features", resize=64, weights=files["cnn"], mean=list(said["mean"]),
        std=list(said["std"]),
    )  # fmt: skip
    np.testing.assert_array_equal(embedding.embed(images, network), stated.embed(images, network))
    network.pretrained_cfg = {**network.pretrained_cfg, "mean": (0.1, 0.2, 0.3), "std": (0.3, 0.2, 0.1)}
    shifted = spec(
        kind="timm", model="test_resnet", pool="features", resize=64, weights=files["cnn"], mean=[0.1, 0.2, 0.3],
        std=[0.3, 0.2, 0.1],
    )  # fmt: skip
    np.testing.assert_array_equal(embedding.embed(images, network), shifted.embed(images, network))
    assert np.abs(embedding.embed(images, network) - stated.embed(images, network)).max() > 0.01


@pytest.mark.parametrize("size", [28, 11])
def test_resizing_is_pillows_bicubic(images, size):
    found = as_tensor(images[:2] * 3, size).cpu().numpy()  # beyond the range: clipped after resizing
    for image, mine in zip(images[:2] * 3, found, strict=True):
        for channel, resized in zip(image, mine, strict=True):
            theirs = np.asarray(Image.fromarray(channel, mode="F").resize((size, size), Image.Resampling.BICUBIC))
            # Weights follow from positions of up to 20 pixels in float32; values up to 3, two passes of up to 8 taps.
            np.testing.assert_allclose(resized, theirs.clip(-1, 1), rtol=0, atol=20 * 3 * 2 * 8 * UNIT)


def test_wrong_timm_keys_say_what_is_needed(files):
    for wrong, message in (
        ({"model": "no_such_net"}, "model has the value 'no_such_net': timm has none of this name"),
        ({"model": "vit_small_patch14_reg4_dinov2.no_tag"}, "timm has none of this name"),
        ({"model": "test_resnet"}, "'cls' needs a model with a normed class token, not 'test_resnet'"),
        ({"model": "test_resnet", "pool": "patch_mean"}, "'patch_mean' needs a model with normed tokens"),
        ({"resize": 30}, "resize has the value 30: 'vit_small_patch14_reg4_dinov2' needs a multiple of 14"),
    ):
        with pytest.raises((StudyError, ValueError), match=message):  # the configuration's ValueError is a sentence
            dinov2(files, **wrong).network()


def test_weights_of_another_architecture(files, tmp_path):
    name = files["vae"]["path"]
    with pytest.raises(WeightsError) as caught:
        dinov2(files, weights="vae").network()
    assert str(caught.value).startswith(
        f"'{name}' holds no weights of {weight_files.VIT}: it lacks cls_token, reg_token, pos_embed and 1"
    )
    assert "; it has an unknown decoder.conv_in.bias, encoder.conv_in.bias, " in str(caught.value)
    with pytest.raises(WeightsError, match=r"an AutoencoderKL's encoder: it lacks encoder\.conv_in\.weight, "):
        spec(kind="vae", weights=files["vit"]).network()
    state = load_file(name) | {"quant_conv.bias": torch.zeros(3)}
    other = weight_files.written(tmp_path / "vae.safetensors", state)
    with pytest.raises(WeightsError, match=r"encoder: another shape has quant_conv\.bias$"):
        spec(kind="vae", weights=other).network()
    text = tmp_path / "text.safetensors"
    text.write_text("no such bytes")
    with pytest.raises(WeightsError, match=r"text\.safetensors' is no safetensors file: "):
        spec(kind="vae", weights=weight_files.described(text)).network()


@pytest.mark.parametrize("mode", ["legacy_tensorflow", "clean"])
def test_inception_features_are_clean_fids(files, images, mode, tmp_path):
    """Its own reading of PNG files, its own resizing and its own network, from the same file of weights."""
    from cleanfid.fid import get_folder_features
    from cleanfid.inception_torchscript import InceptionV3W

    for i, image in enumerate(to_uint8(images)):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    embedding = spec(kind="inception", mode=mode, weights=files["inception"])
    network = embedding.network()
    assert isinstance(network, InceptionV3W)
    assert network.resize_inside == (mode == "legacy_tensorflow")
    theirs = get_folder_features(
        str(tmp_path), network, num_workers=0, device=torch.device("cpu"), mode=mode, verbose=False
    )
    found = embedding.embed(images, network)
    assert found.shape == (5, 2048)
    assert found.std() > 0.1
    np.testing.assert_allclose(found, theirs, rtol=1e-4, atol=1e-5)


def test_inception_of_another_layout(files, tmp_path):
    torch.jit.script(torch.nn.Linear(3, 2)).save(tmp_path / "linear.pt")
    with pytest.raises(WeightsError, match=r"linear\.pt' is not clean-fid's Inception network as TorchScript: \S"):
        spec(kind="inception", weights=weight_files.described(tmp_path / "linear.pt")).network()
    narrow = weight_files.write_inception(tmp_path / "narrow.pt", features=64)
    with pytest.raises(WeightsError, match=r"TorchScript: .*2048.* is invalid for input of size 64"):
        spec(kind="inception", weights=narrow).network()
    with pytest.raises(WeightsError, match=r"vae\.safetensors' holds no weights of FID's Inception") as caught:
        spec(kind="inception", weights=files["vae"]).network()
    assert "\n" not in str(caught.value)


def test_weights_are_verified_before_they_are_read(files):
    changed = files["inception"] | {"sha256": "0" * 64}
    with pytest.raises(StudyError, match=r"has SHA-256 .*, pinned is 0000"):
        spec(kind="inception", weights=changed).network()


def test_vae_latents_are_diffusers(files, tmp_path):
    """Numbers that AutoencoderKL of diffusers 0.42.1 gave for the same weights and image."""
    image = torch.linspace(-1, 1, 3 * 16 * 24).reshape(1, 3, 16, 24).numpy()
    embedding = spec(kind="vae", weights=files["vae"])
    found = embedding.embed(image, embedding.network())
    assert found.shape == (1, 4 * 2 * 3)
    expected = [2.0458248, 1.6101366, 1.7364867, 1.7334688, 2.8359692, 2.1296606]
    np.testing.assert_allclose(found[0, :6], expected, rtol=1e-4)
    assert np.abs(found).sum() == pytest.approx(35.3108, rel=1e-4)
    older = spec(kind="vae", weights=weight_files.write_vae(tmp_path / "old.safetensors", old_names=True))
    np.testing.assert_array_equal(older.embed(image, older.network()), found)


def test_vae_resizes_on_demand(files, images):
    embedding = spec(kind="vae", resize=32, weights=files["vae"])
    network = embedding.network()
    found = embedding.embed(images, network)
    assert found.shape == (5, 4 * 4 * 4)
    np.testing.assert_allclose(found, network(as_tensor(images, 32)).flatten(1), rtol=1e-4, atol=1e-4)


def test_vae_of_stable_diffusion_has_its_published_size():
    """34,163,592 parameters in the encoder of 83,653,863 in all."""
    from guidance_study.networks.modules.vae import STABLE_DIFFUSION, PosteriorMean

    with torch.device("meta"):
        network = PosteriorMean(**STABLE_DIFFUSION)
    assert sum(parameter.numel() for parameter in network.encoder.parameters()) == 34_163_592
    assert network(torch.empty(1, 3, 64, 64, device="meta")).shape == (1, 4, 8, 8)
