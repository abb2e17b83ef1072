"""The networks against what is known: published counts and names, closed forms, explicit references."""

import math

import pytest
import torch
from guidance_study.config import seams
from guidance_study.networks.modules.embedding import FourierFeatures, timestep_embedding
from guidance_study.networks.modules.unet import AttentionBlock
from pydantic import ValidationError
from random_weights import build, drawn
from rounding import distance, rounding, roundings

pytestmark = pytest.mark.numeric

MLP = {
    "kind": "residual_mlp",
    "width": 32,
    "blocks": 2,
    "fourier": 0,
    "fourier_sigma": 1.0,
    "zero_init": False,
}
UNET = {
    "kind": "unet",
    "model_channels": 32,
    "num_res_blocks": 1,
    "attention_resolutions": [2],
    "channel_mult": [1, 2],
}
MNIST = {**UNET, "model_channels": 128, "num_res_blocks": 2, "attention_resolutions": []}
CIFAR = {
    **UNET,
    "model_channels": 128,
    "num_res_blocks": 4,
    "channel_mult": [1, 2, 2, 2],
    "num_heads": 4,
    "num_head_channels": 64,
    "dropout": 0.1,
}
DENOISERS = {
    "mlp": (MLP, (1, 8, 8)),
    "mlp on points": ({**MLP, "fourier": 8}, (2,)),
    "unet": (UNET, (1, 8, 8)),
    "unet, scale-shift": ({**UNET, "use_scale_shift_norm": True}, (1, 8, 8)),
    "unet, patches": ({**UNET, "patch": 2}, (1, 8, 8)),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def batch(shape, n=5):
    return torch.randn(n, *shape), torch.rand(n) * 1000, torch.arange(n) % 3


@pytest.mark.parametrize(
    ("spec", "channels", "rows", "count"),
    [
        (MNIST, 1, 10, 14_612_993),
        (CIFAR, 3, 0, 58_687_747),
        (CIFAR, 3, 10, 58_692_867),
        ({**CIFAR, "num_res_blocks": 2}, 3, 0, 35_746_307),
        ({**CIFAR, "num_res_blocks": 2}, 3, 10, 35_751_427),
    ],
)
def test_the_papers_unets_have_their_parameter_counts(spec, channels, rows, count):
    with torch.device("meta"):
        network = build(spec, (channels, 32, 32), rows)
    assert sum(parameter.numel() for parameter in network.parameters()) == count
    assert network.state_dict().keys() == dict(network.named_parameters()).keys()


def test_unet_names_and_shapes_are_those_of_the_public_checkpoints():
    with torch.device("meta"):
        state = build(CIFAR, (3, 32, 32), 10).state_dict()
    known = {
        "time_embed.0.weight": (512, 128),
        "time_embed.2.bias": (512,),
        "label_emb.weight": (10, 512),
        "input_blocks.0.0.weight": (128, 3, 3, 3),
        "input_blocks.1.0.in_layers.0.weight": (128,),
        "input_blocks.1.0.in_layers.2.weight": (128, 128, 3, 3),
        "input_blocks.1.0.emb_layers.1.weight": (128, 512),
        "input_blocks.1.0.out_layers.3.weight": (128, 128, 3, 3),
        "input_blocks.5.0.op.weight": (128, 128, 3, 3),
        "input_blocks.6.0.skip_connection.weight": (256, 128, 1, 1),
        "input_blocks.6.1.norm.weight": (256,),
        "input_blocks.6.1.qkv.weight": (768, 256, 1),
        "input_blocks.6.1.proj_out.bias": (256,),
        "middle_block.0.in_layers.2.weight": (256, 256, 3, 3),
        "middle_block.1.qkv.bias": (768,),
        "middle_block.2.out_layers.0.weight": (256,),
        "output_blocks.0.0.skip_connection.weight": (256, 512, 1, 1),
        "output_blocks.4.1.conv.weight": (256, 256, 3, 3),
        "output_blocks.14.2.conv.weight": (256, 256, 3, 3),
        "output_blocks.19.0.in_layers.0.weight": (256,),
        "out.0.weight": (128,),
        "out.2.weight": (3, 128, 3, 3),
    }
    assert {name: tuple(state[name].shape) for name in known} == known
    assert "input_blocks.1.1.norm.weight" not in state  # no attention at full resolution
    assert "output_blocks.20.0.in_layers.0.weight" not in state


def layer(name, *weight):
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def residual(name, inputs, outputs):
    """The parameters of one residual block of guided-diffusion; the embedding has 512 channels."""
    found = layer(f"{name}.in_layers.0", inputs) | layer(f"{name}.in_layers.2", outputs, inputs, 3, 3)
    found |= layer(f"{name}.emb_layers.1", outputs, 512)
    found |= layer(f"{name}.out_layers.0", outputs) | layer(f"{name}.out_layers.3", outputs, outputs, 3, 3)
    return found if inputs == outputs else found | layer(f"{name}.skip_connection", outputs, inputs, 1, 1)


@pytest.mark.parametrize("rows", [0, 11])
def test_a_state_dict_of_guided_diffusion_loads_by_name(rows):
    known = layer("time_embed.0", 512, 128) | layer("time_embed.2", 512, 512)
    known |= {"label_emb.weight": (rows, 512)} if rows else {}
    known |= layer("input_blocks.0.0", 128, 1, 3, 3) | layer("input_blocks.3.0.op", 128, 128, 3, 3)
    for block, widths in {1: (128, 128), 2: (128, 128), 4: (128, 256), 5: (256, 256)}.items():
        known |= residual(f"input_blocks.{block}.0", *widths)
    known |= residual("middle_block.0", 256, 256) | residual("middle_block.2", 256, 256)
    known |= layer("middle_block.1.norm", 256) | layer("middle_block.1.qkv", 768, 256, 1)
    known |= layer("middle_block.1.proj_out", 256, 256, 1)
    for block, (inputs, skip, width) in enumerate(
        [(256, 256, 256), (256, 256, 256), (256, 128, 256), (256, 128, 128), (128, 128, 128), (128, 128, 128)]
    ):
        known |= residual(f"output_blocks.{block}.0", inputs + skip, width)
    known |= layer("output_blocks.2.1.conv", 256, 256, 3, 3) | layer("out.0", 128) | layer("out.2", 1, 128, 3, 3)
    with torch.device("meta"):
        network = build(MNIST, (1, 28, 28), rows)
        assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == known
        network.load_state_dict({name: torch.empty(shape) for name, shape in known.items()}, strict=True)


def test_timestep_embedding_is_cosines_then_sines():
    embedding = timestep_embedding(torch.tensor([0.0, 2.0, 999.5]), 4)
    t = torch.tensor([0.0, 2.0, 999.5])
    expected = torch.stack([t.cos(), (t / 100).cos(), t.sin(), (t / 100).sin()], dim=1)
    torch.testing.assert_close(embedding, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(embedding[0], torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert timestep_embedding(t, 5).shape == (3, 5)
    assert not timestep_embedding(t, 5)[:, 4].any()


def test_fourier_features_are_fixed_saved_and_of_unit_modulus():
    features = FourierFeatures(2, 6, sigma=3.0)
    cosines, sines = features(torch.randn(4, 2)).chunk(2, dim=1)
    torch.testing.assert_close(cosines**2 + sines**2, torch.ones(4, 6))
    assert list(features.state_dict()) == ["matrix"]
    assert not list(features.parameters())
    assert FourierFeatures(2, 20000, sigma=3.0).matrix.std() == pytest.approx(3.0, rel=0.02)


def test_attention_is_an_explicit_softmax_over_interleaved_heads():
    block, x = drawn(AttentionBlock(16, heads=2)), torch.randn(3, 16, 4, 2)
    qkv = block.qkv(block.norm(x).reshape(3, 16, 8))
    heads = []
    for head in range(2):
        q, k, v = (qkv[:, 24 * head + 8 * part : 24 * head + 8 * (part + 1)] for part in range(3))
        weights = torch.softmax(torch.einsum("ncl,ncm->nlm", q, k) / math.sqrt(8), dim=2)
        heads.append(torch.einsum("nlm,ncm->ncl", weights, v))
    expected = x + block.proj_out(torch.cat(heads, dim=1)).reshape(x.shape)
    assert distance(block(x), expected) < 2 * rounding(roundings(block) + 8)  # 8 pixels are summed over


@pytest.mark.parametrize("name", DENOISERS)
def test_a_class_may_be_told_by_its_vector(name):
    spec, shape = DENOISERS[name]
    network, x, time = drawn(build(spec, shape, 3)).eval(), torch.randn(4, *shape), torch.full((4,), 500.0)
    label = torch.tensor([0, 2, 1, 0])
    with torch.no_grad():
        vectors = network.class_vectors()
        assert torch.equal(network(x, time, vectors[label]), network(x, time, label))
        between = network(x, time, 0.5 * (vectors[label] + vectors[(label + 1) % 3]))
        assert (between - network(x, time, label)).abs().max() > 1e-3


@pytest.mark.parametrize("name", DENOISERS)
def test_output_starts_at_exactly_zero(name):
    spec, shape = DENOISERS[name]
    network = build({**spec, "zero_init": True} if spec["kind"] == "residual_mlp" else spec, shape, 3)
    assert network(*batch(shape)).shape == (5, *shape)
    assert not network(*batch(shape)).any()


@pytest.mark.parametrize("name", DENOISERS)
def test_gradients_reach_every_parameter(name):
    spec, shape = DENOISERS[name]
    network = drawn(build(spec, shape, 3))
    (network(*batch(shape)) * torch.randn(5, *shape)).sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 1e-6] == []


@pytest.mark.parametrize("name", DENOISERS)
def test_time_and_class_both_matter(name):
    spec, shape = DENOISERS[name]
    network, (x, time, label) = drawn(build(spec, shape, 3)), batch(shape)
    y = network(x, time, label)
    assert (y - network(x, (time + 300) % 1000, label)).abs().max() > 1e-3
    assert (y - network(x, time, (label + 1) % 3)).abs().max() > 1e-3


def test_a_narrow_residual_block_hears_its_embedding():
    block = drawn(build(UNET, (1, 8, 8), 3)).input_blocks[1][0]  # 32 channels: groups of one would cancel it
    x = torch.randn(2, 32, 8, 8)
    assert (block(x, torch.randn(2, 128)) - block(x, torch.randn(2, 128))).abs().max() > 1e-2


@pytest.mark.parametrize("name", DENOISERS)
def test_a_sample_does_not_depend_on_its_batch(name):
    spec, shape = DENOISERS[name]
    network, (x, time, label) = drawn(build(spec, shape, 3)).eval(), batch(shape)
    alone = torch.cat([network(x[i : i + 1], time[i : i + 1], label[i : i + 1]) for i in range(len(x))])
    assert distance(network(x, time, label), alone) < 2 * rounding(roundings(network))


def test_unet_gives_the_same_in_channels_last():
    network, (x, time, label) = drawn(build(UNET, (1, 8, 8), 3)).eval(), batch((1, 8, 8))
    expected = network(x, time, label)
    last = network.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last), time, label)
    assert distance(last, expected) < 2 * rounding(roundings(network))


def test_a_unet_of_patches_is_one_whose_channels_are_their_pixels():
    patches, plain = build({**UNET, "patch": 2}, (3, 8, 12), 3), build(UNET, (12, 4, 6), 3)
    state = drawn(patches).state_dict()
    plain.load_state_dict(state)
    x, time, label = batch((3, 8, 12))
    squares = x.view(5, 3, 4, 2, 6, 2).permute(0, 1, 3, 5, 2, 4).reshape(5, 12, 4, 6)  # [n, (c, i, j), row, column]
    expected = plain(squares, time, label).view(5, 3, 2, 2, 4, 6).permute(0, 1, 4, 2, 5, 3).reshape(5, 3, 8, 12)
    assert torch.equal(patches(x, time, label), expected)


@pytest.mark.parametrize("name", ["mlp", "unet"])
def test_a_label_is_needed_exactly_when_there_are_rows(name):
    spec, shape = DENOISERS[name]
    x, time, label = batch(shape)
    with pytest.raises(ValueError, match="needs a label"):
        build(spec, shape, 3)(x, time, None)
    with pytest.raises(ValueError, match="takes no class"):
        build(spec, shape, 0)(x, time, label)
    assert build(spec, shape, 0)(x, time, None).shape == x.shape


def parse(spec: dict):
    return seams.parse("networks", spec)


def test_what_cannot_be_built_says_so():
    with pytest.raises(seams.SeamError, match=r"'resnet'.*cnn.*unet"):
        parse({"kind": "resnet"})
    with pytest.raises(ValidationError, match="widht"):
        parse({**MLP, "widht": 3})
    with pytest.raises(ValidationError, match="num_head_channels 48"):
        parse({**UNET, "num_head_channels": 48})
    for spec, shape, needed in (
        (UNET, (1, 7, 8), "sides in multiples of 2"),
        (UNET, (2,), "images"),
        ({**UNET, "patch": 4}, (1, 12, 12), "patches of 4 pixels needs images with sides in multiples of 8"),
        ({"kind": "cnn"}, (2,), "images"),
    ):
        with pytest.raises(ValueError, match=needed):
            parse(spec).check(shape)
    parse(UNET).check((1, 8, 6))
    parse(MLP).check((2,))
