"""EDM's network against its release's names and shapes, and each of its parts against an explicit formula."""

import math
import os

import pytest
import torch
from guidance_study.config import seams
from guidance_study.networks.modules.song_unet import UNetBlock, noise_embedding
from pydantic import ValidationError
from random_weights import build, drawn
from rounding import distance, rounding, roundings
from torch.nn import functional as F

pytestmark = pytest.mark.numeric

CIFAR = {
    "kind": "song_unet",
    "model_channels": 128,
    "channel_mult": [2, 2, 2],
    "num_blocks": 4,
    "attn_resolutions": [16],
    "dropout": 0.13,
    "augment_dim": 9,
}
SMALL = {
    **CIFAR,
    "model_channels": 8,
    "channel_mult": [1, 2],
    "num_blocks": 1,
    "attn_resolutions": [8],
}
SPEC = seams.parse("networks", CIFAR)
SHAPE, ROWS = (3, 16, 16), 5
FILTERED = [f"{block}.{layer}.resample_filter" for block in (
    "enc.16x16_down", "enc.8x8_down", "dec.16x16_up", "dec.32x32_up") for layer in ("conv0", "skip")]  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def small(rows=ROWS, **fields):
    return drawn(build({**SMALL, **fields}, SHAPE, rows)).eval()


def batch(n=4):
    return torch.randn(n, *SHAPE), torch.randn(n), torch.arange(n) % ROWS, torch.randn(n, 9)


def layer(name, *weight, bias=True):
    return {f"{name}.weight": weight} | ({f"{name}.bias": weight[:1]} if bias else {})


def block(name, inputs, outputs, skip, attention):
    """The parameters of one block of the release; the embedding has 512 channels."""
    found = layer(f"{name}.norm0", inputs) | layer(f"{name}.conv0", outputs, inputs, 3, 3)
    found |= layer(f"{name}.affine", outputs, 512)
    found |= layer(f"{name}.norm1", outputs) | layer(f"{name}.conv1", outputs, outputs, 3, 3)
    if skip:
        found |= layer(f"{name}.skip", outputs, inputs, 1, 1)
    if attention:
        found |= layer(f"{name}.norm2", outputs) | layer(f"{name}.qkv", 3 * outputs, outputs, 1, 1)
        found |= layer(f"{name}.proj", outputs, outputs, 1, 1)
    return found


def released():
    """Names and shapes of the CIFAR-10 checkpoint of EDM's release, class-conditional, without its buffers."""
    found = layer("map_label", 128, 10) | layer("map_augment", 128, 9, bias=False)
    found |= layer("map_layer0", 512, 128) | layer("map_layer1", 512, 512)
    found |= layer("enc.32x32_conv", 128, 3, 3, 3)
    for side in (32, 16, 8):
        if side < 32:
            found |= block(f"enc.{side}x{side}_down", 256, 256, skip=True, attention=False)
        for i in range(4):
            first = side == 32 and i == 0
            found |= block(f"enc.{side}x{side}_block{i}", 128 if first else 256, 256, first, side == 16)
    found |= block("dec.8x8_in0", 256, 256, False, True) | block("dec.8x8_in1", 256, 256, False, False)
    for side in (8, 16, 32):
        if side > 8:
            found |= block(f"dec.{side}x{side}_up", 256, 256, skip=True, attention=False)
        for i in range(5):
            last = i == 4  # its skip at 32 x 32 is the first convolution's output, 128 channels
            inputs = 384 if last and side == 32 else 512
            found |= block(f"dec.{side}x{side}_block{i}", inputs, 256, True, last and side == 16)
    return found | layer("dec.32x32_aux_norm", 256) | layer("dec.32x32_aux_conv", 3, 256, 3, 3)


@pytest.mark.parametrize(
    ("rows", "augment_dim", "count"), [(11, 9, 55_735_299), (11, 0, 55_734_147), (0, 9, 55_733_891)]
)
def test_the_parameter_count_is_the_papers(rows, augment_dim, count):
    with torch.device("meta"):
        network = build({**CIFAR, "augment_dim": augment_dim}, (3, 32, 32), rows)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_names_and_shapes_are_those_of_the_release():
    with torch.device("meta"):
        network = build(CIFAR, (3, 32, 32), 11)
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == released()


@pytest.mark.parametrize("filtered", [False, True], ids=["without filters", "with filters"])
def test_a_state_dict_of_the_release_loads_by_name(filtered):
    state = {name: torch.empty(shape, device="meta") for name, shape in released().items()}
    if filtered:
        state |= {name: torch.full((1, 1, 2, 2), 0.25) for name in FILTERED}
    names = set(state)
    with torch.device("meta"):
        build(CIFAR, (3, 32, 32), 11).load_state_dict(SPEC.adapted(state), strict=True)
    assert set(state) == names  # the caller's own


@pytest.mark.parametrize("found", [torch.full((1, 1, 4, 4), 1 / 16), torch.tensor([[[[0.0, 0.5], [0.5, 0.0]]]])])
def test_another_filter_does_not_load(found):
    with pytest.raises(ValueError, match=r"'enc.8x8_down.conv0.resample_filter' is not the filter \[1, 1\]"):
        SPEC.adapted({"enc.8x8_down.conv0.resample_filter": found})


def test_noise_embedding_is_sines_then_cosines_down_to_the_lowest_frequency():
    t = torch.tensor([-1.3, 0.0, 2.0])
    expected = torch.stack(
        [t.sin(), (t / 100).sin(), (t / 1e4).sin(), t.cos(), (t / 100).cos(), (t / 1e4).cos()], dim=1
    )
    torch.testing.assert_close(noise_embedding(t, 6), expected)


@pytest.mark.parametrize("resample", ["enc.8x8_down", "dec.16x16_up"])
def test_a_resampling_block_is_its_formula_with_the_releases_filter(resample):
    name, key = resample.split(".")
    here = getattr(small(), name)[key]
    x, embedding = torch.randn(2, here.conv0.in_channels, 8, 8), torch.randn(2, 32)
    down = torch.full((x.shape[1], 1, 2, 2), 0.25)

    def resampled(h):
        if name == "enc":
            return F.conv2d(h, down, stride=2, groups=h.shape[1])
        return F.conv_transpose2d(h, 4 * down, stride=2, groups=h.shape[1])

    def norm(h, layer):
        y = h.unflatten(1, (h.shape[1] // 4, 4))
        y = (y - y.mean((2, 3, 4), keepdim=True)) / (y.var((2, 3, 4), correction=0, keepdim=True) + 1e-6).sqrt()
        return y.flatten(1, 2) * layer.weight[:, None, None] + layer.bias[:, None, None]

    h = here.conv0(resampled(F.silu(norm(x, here.norm0)))) + here.affine(embedding)[:, :, None, None]
    expected = (here.skip(resampled(x)) + here.conv1(F.silu(norm(h, here.norm1)))) / math.sqrt(2)
    assert distance(here(x, embedding), expected) < 2 * rounding(roundings(here))


def test_attention_is_an_explicit_softmax_over_interleaved_channels():
    plain = drawn(UNetBlock(16, 16, 32, 0.0))
    attending = drawn(UNetBlock(16, 16, 32, 0.0, attention=True))
    attending.load_state_dict(plain.state_dict(), strict=False)
    x, embedding = torch.randn(3, 16, 4, 4), torch.randn(3, 32)
    y = plain(x, embedding)
    qkv = attending.qkv(attending.norm2(y)).flatten(2)  # (N, 48, L)
    q, k, v = qkv[:, 0::3], qkv[:, 1::3], qkv[:, 2::3]
    weights = torch.softmax(torch.einsum("ncl,ncm->nlm", q, k) / math.sqrt(16), dim=2)
    attended = attending.proj(torch.einsum("nlm,ncm->ncl", weights, v).reshape(y.shape))
    bound = 2 * rounding(roundings(attending) + 16)  # 16 pixels are summed over
    assert distance(attending(x, embedding), (y + attended) / math.sqrt(2)) < bound


def test_initial_weights_are_uniform_of_the_papers_widths():
    network = build({**SMALL, "model_channels": 32}, SHAPE, ROWS)
    here = network.enc["8x8_block0"]
    for weight, gain, fans in (
        (network.map_layer1.weight, 1, 128 + 128),
        (here.conv0.weight, 1, 9 * (32 + 64)),
        (here.conv1.weight, 1e-5, 9 * (64 + 64)),
        (here.qkv.weight, math.sqrt(0.2), 64 + 192),
        (network.dec["16x16_aux_conv"].weight, 1e-5, 9 * (32 + 3)),
    ):
        width = gain * math.sqrt(6 / fans)
        assert weight.abs().max().item() == pytest.approx(width, rel=0.02)
        assert weight.std().item() == pytest.approx(width / math.sqrt(3), rel=0.05)
    assert not here.conv0.bias.any()
    x, time, label, _ = batch()
    assert 0 < network(x, time, label).abs().max() < 1e-3


def test_time_class_and_augmentation_all_matter():
    network, (x, time, label, augment) = small(), batch()
    y = network(x, time, label, augment)
    assert y.shape == x.shape
    assert y.isfinite().all()
    assert (y - network(x, time + 0.5, label, augment)).abs().max() > 1e-3
    assert (y - network(x, time, (label + 1) % ROWS, augment)).abs().max() > 1e-3
    assert (y - network(x, time, label, augment + 1)).abs().max() > 1e-3
    torch.testing.assert_close(network(x, time, label), network(x, time, label, torch.zeros(4, 9)))


def test_the_last_label_is_an_all_zero_one_hot():
    network, (x, time, _, _) = small(), batch(2)
    label = torch.tensor([ROWS - 1, 1])
    expected = torch.stack([network.map_label.bias, network.map_label.bias + 2 * network.map_label.weight[:, 1]])
    heard = []
    network.map_layer0.register_forward_pre_hook(lambda _, given: heard.append(given[0]))
    network(x, time, label)
    torch.testing.assert_close(heard[0] - noise_embedding(time, 8), expected, atol=1e-5, rtol=1e-5)  # 2 = sqrt(4)


def test_gradients_reach_every_parameter():
    network = small().train()
    (network(*batch()) * torch.randn(4, *SHAPE)).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 1e-6] == []


def test_a_sample_depends_neither_on_its_batch_nor_on_the_memory_layout():
    network, given = small(), batch()
    y = network(*given)
    alone = torch.cat([network(*(part[i : i + 1] for part in given)) for i in range(4)])
    bound = 2 * rounding(roundings(network))
    assert distance(y, alone) < bound
    last = network.to(memory_format=torch.channels_last)
    again = last(given[0].to(memory_format=torch.channels_last), *given[1:])
    assert distance(y, again) < bound


# torch's attention packs bfloat16 for AMX by the processor, and cannot where its own kernels are held below AVX-512.
HELD_BELOW_AMX = torch.cpu._is_amx_tile_supported() and torch.backends.cpu.get_cpu_capability() != "AVX512"


@pytest.mark.skipif(
    HELD_BELOW_AMX and "ONEDNN_MAX_CPU_ISA" not in os.environ, reason="no processor has AMX and lacks AVX-512"
)
def test_under_bfloat16_autocast_it_is_nearly_the_same_and_returns_float32():
    network, given = small(), batch()
    expected = network(*given)
    with torch.autocast("cpu", torch.bfloat16):
        y = network(*given)
    assert y.dtype == torch.float32
    assert 1e-4 < (y - expected).norm() / expected.norm() < 0.05


def test_what_does_not_fit_says_so():
    spec = seams.parse("networks", SMALL)
    for shape, needed in (((2,), "images with sides"), ((3, 15, 15), "multiples of 2"), ((3, 16, 8), "square images")):
        with pytest.raises(ValueError, match=needed):
            spec.check(shape)
    spec.check(SHAPE)
    with pytest.raises(ValueError, match="rows is 0, or 2 or more"):
        build(SMALL, SHAPE, 1)
    with pytest.raises(ValidationError, match="6: it must be a multiple of 4"):
        build({**SMALL, "model_channels": 6}, SHAPE, ROWS)
    with pytest.raises(ValueError, match=r"144 channels .* do not split"):
        build({**SMALL, "model_channels": 144}, SHAPE, ROWS)
    x, time, label, augment = batch()
    with pytest.raises(ValueError, match="needs a label"):
        small()(x, time, None)
    with pytest.raises(ValueError, match="takes no class"):
        small(rows=0)(x, time, label)
    with pytest.raises(ValueError, match="no augmentation labels"):
        small(augment_dim=0)(x, time, label, augment)


def test_a_pretrained_base_loads_with_the_releases_filters(tmp_path):
    """The stage that takes the authors' checkpoint as it is converted: their filters are in it, and are left out."""
    from guidance_study.config.weights import Weights
    from guidance_study.networks.models import outside
    from guidance_study.support.errors import StudyError
    from guidance_study.support.writing import sha256
    from safetensors.torch import save_file

    small = {"model_channels": 8, "channel_mult": [1, 2], "num_blocks": 1, "attn_resolutions": [], "dropout": 0.0}
    spec = seams.parse("networks", {"kind": "song_unet", **small})
    network = spec.build((3, 8, 8), 3)
    state = {name: torch.randn_like(value) for name, value in network.state_dict().items()}
    filters = {f"enc.4x4_down.{layer}.resample_filter": torch.full((1, 1, 2, 2), 0.25) for layer in ("conv0", "skip")}
    path = tmp_path / "edm.safetensors"
    save_file(state | filters, path)
    found = outside(spec, network, Weights(path=str(path), sha256=sha256(path)))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
    save_file(state | {name: value * 2 for name, value in filters.items()}, path)
    with pytest.raises(StudyError, match=r"edm\.safetensors' holds no weights of SongUNet"):
        outside(spec, network, Weights(path=str(path), sha256=sha256(path)))
