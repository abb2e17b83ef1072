"""guided-diffusion's ImageNet models: networks, learned variance, and classifier guidance as they sample."""

import numpy as np
import pytest
import torch
from guidance_study.__main__ import main
from guidance_study.config import seams
from guidance_study.guidance import BASE, Model
from guidance_study.networks.models.weights import read_weights
from guidance_study.stages.samples import Generator
from guidance_study.support.randomness import Draws, generator
from guided import guided, noise, process, rule, sampler
from random_weights import build, drawn
from weight_files import adm_classifier

# (model_channels, num_head_channels, use_new_attention_order) -> pixels of channels 1 and 4, the second one of the
# variance, of what torchcfm 1.0.7's UNet, which is guided-diffusion's, computes with the weights of
# `random_weights.drawn`; six digits.
UNETS = {
    (32, 16, False): [
        -1.57665, -1.59519, -1.40318, -1.04376, -2.28999, -2.99338, -2.53747, -2.29307, 0.279033, 0.910367, 0.549167,
        0.570539, 0.131085, 1.32863, 0.354466, -0.146227,
    ],
    (32, 16, True): [
        -1.61729, -1.6006, -1.39701, -1.10356, -2.25083, -3.30549, -2.70675, -2.60105, 0.43246, 0.901583, 0.489905,
        0.675548, 0.332386, 1.29637, 0.478765, -0.166736,
    ],
    (192, 64, True): [
        -1.99788, -2.37392, -2.70234, -1.68928, -1.80246, -2.10819, -2.34951, -1.93818, 1.43154, 1.28318, 1.2276,
        0.877435, 1.16334, 1.48587, 1.2389, 1.30274,
    ],
}  # fmt: skip
# (model_channels, num_head_channels) -> the logits of its EncoderUNetModel, pool "attention".
CLASSIFIERS = {
    (32, 16): [
        0.680777, 1.00093, -0.329614, -0.627963, 0.999825, 0.30927, 0.298924, 1.3289, -1.83331, 1.07573,
        0.611304, 1.09657, -0.284085, -0.643772, 1.05807, 0.332438, 0.388406, 1.29028, -1.80127, 1.15866,
    ],
    (128, 64): [
        1.22888, 1.19053, -0.152282, -0.75774, 0.44013, -0.325011, -0.0123738, 1.29895, 0.756818, -3.0177,
        1.25166, 1.32536, -0.153604, -0.778839, 0.451825, -0.300613, -0.0271177, 1.23605, 0.820218, -3.01605,
    ],
}  # fmt: skip
TIME = torch.tensor([3.0, 700.0])


def images() -> torch.Tensor:
    return torch.from_numpy(generator(0, "x").standard_normal((2, 3, 16, 16), dtype="float32"))


def unet(channels: int = 32, head: int = 16, new_order: bool = False, **more) -> dict:
    return {
        "kind": "unet", "model_channels": channels, "num_res_blocks": 1, "channel_mult": [1, 2],
        "attention_resolutions": [2], "num_head_channels": head, "use_new_attention_order": new_order,
        "use_scale_shift_norm": True, "resblock_updown": True, "learn_sigma": True, "norm_groups": 32, **more,
    }  # fmt: skip


def encoder(channels: int = 32, head: int = 16, **more) -> dict:
    return {
        "kind": "unet_encoder", "model_channels": channels, "num_res_blocks": 1, "channel_mult": [1, 2, 2],
        "attention_resolutions": [2, 4], "num_head_channels": head, "use_scale_shift_norm": True,
        "resblock_updown": True, "norm_groups": 32, **more,
    }  # fmt: skip


@pytest.mark.numeric
@pytest.mark.parametrize("which", UNETS)
def test_the_unet_of_the_imagenet_models_computes_what_torchcfm_s_does(which):
    network = drawn(build(unet(*which), (3, 16, 16), 10)).eval()
    with torch.no_grad():
        found = network(images(), TIME, torch.tensor([1, 7]))
    assert found.shape == (2, 6, 16, 16)
    pixels = torch.cat([found[:, channel, ::5, ::5].flatten()[:8] for channel in (1, 4)])
    assert pixels == pytest.approx(torch.tensor(UNETS[which]), rel=1e-4, abs=1e-5)


@pytest.mark.numeric
@pytest.mark.parametrize("which", CLASSIFIERS)
def test_the_noisy_classifier_computes_what_torchcfm_s_does(which):
    network = drawn(build(encoder(*which), (3, 16, 16), 10, True)).eval()
    with torch.no_grad():
        found = network(images(), TIME)
        features = network.features(images(), TIME)
    assert found.flatten() == pytest.approx(torch.tensor(CLASSIFIERS[which]), rel=1e-4, abs=1e-5)
    assert torch.equal(network.head(features), found)


def test_a_clean_classifier_of_the_kind_sees_time_0():
    clean, noisy = (drawn(build(encoder(), (3, 16, 16), 10, noisy)).eval() for noisy in (False, True))
    assert torch.equal(clean(images()), noisy(images(), torch.zeros(2)))


AT_64 = {"channel_mult": [1, 2, 3, 4], "attention_resolutions": [2, 4, 8]}
AT_256 = {"num_res_blocks": 2, "channel_mult": [1, 1, 2, 2, 4, 4], "attention_resolutions": [8, 16, 32]}
PUBLISHED = {  # of guided-diffusion's README
    "64x64_diffusion": ("adm", unet(192, 64, True, num_res_blocks=3, **AT_64)),
    "256x256_diffusion": ("adm", unet(256, 64, **AT_256)),
    "64x64_classifier": ("adm_classifier", encoder(128, 64, num_res_blocks=4, **AT_64)),
    "256x256_classifier": ("adm_classifier", encoder(128, 64, **AT_256)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_released_files_are_known_by_their_shapes(name):
    from guidance_study.networks.models.layouts import layout_of

    layout, spec = PUBLISHED[name]
    side, last = int(name.split("x")[0]), (1000, True) if layout == "adm_classifier" else (1000,)
    with torch.device("meta"):
        state = build(spec, (3, side, side), *last).state_dict()
    found_layout, found = layout_of(adm_classifier(state) if layout == "adm_classifier" else state)
    assert (found_layout, found.classes) == (layout, 1000)
    told = {key: value for key, value in spec.items() if key not in found.untold}
    assert found.entry == told
    if name == "64x64_diffusion":  # 296 M, as its authors' paper says
        assert round(sum(value.numel() for value in state.values()) / 1e6) == 296


def test_a_classifier_whose_levels_nothing_tells_apart_is_refused():
    from guidance_study.networks.models.layouts import layout_of
    from guidance_study.networks.models.weights import WeightsError

    spec = encoder(channel_mult=[1, 1, 1], attention_resolutions=[])
    with pytest.raises(WeightsError, match="neither widths nor attention tell apart"):
        layout_of(adm_classifier(build(spec, (3, 16, 16), 10, True).state_dict()))


@pytest.mark.parametrize("layout", ["adm", "adm_classifier"])
def test_models_that_see_another_image_beside_the_noisy_one_are_refused(layout):
    """guided-diffusion's super-resolution models take and, with a learned variance, give six channels."""
    from guidance_study.networks.models.layouts import layout_of
    from guidance_study.networks.models.weights import WeightsError

    with torch.device("meta"):
        adm = build(unet(learn_sigma=False), (6, 16, 16), 10).state_dict()
        classifier = build(encoder(), (6, 16, 16), 10, True).state_dict()
    with pytest.raises(WeightsError, match=r"takes 6 channels.*super-resolution"):
        layout_of(adm if layout == "adm" else adm_classifier(classifier))


@pytest.mark.numeric
def test_cosine_betas_telescope_to_a_squared_cosine():
    """abar_t = f(t + 1) / f(0), but for what the cap of 0.999 leaves of the last step."""
    cosine = process(betas="cosine")
    edges = torch.arange(1001, dtype=torch.float64) / 1000
    f = torch.cos((edges + 0.008) / 1.008 * torch.pi / 2) ** 2
    assert torch.allclose(cosine.abar[:-1], f[1:-1] / f[0], rtol=1e-10, atol=0)
    assert float(cosine.abar[-1] / cosine.abar[-2]) == pytest.approx(0.001)
    cosine.check("processes.mine")  # though less than 1e-8 is left of the signal


def made(spec: dict, sampling: dict, scale: float = 1.0, guidance=None, classifiers=None, n: int = 2) -> torch.Tensor:
    """Generations of a network of random weights by the generator of the stages."""
    ddpm = process(betas="cosine")
    network = drawn(build(spec, (3, 16, 16), 4)).eval()
    with torch.no_grad():
        for parameter in network.out[2].parameters():  # outputs of size 1, so that no path leaves all bounds
            parameter.mul_(0.3)
    base = Model(ddpm.denoiser(network), 3)
    generator = Generator(
        ddpm, sampler(**sampling), guidance or rule(), {BASE: base}, classifiers or {}, (3, 16, 16), 4
    )
    return generator.generate(Draws(0, "test", 0, n), scale)[0]


def halved(spec: dict) -> tuple[dict, dict]:
    """The network's recipe without its learned variance, and the weights of `made`'s network for it."""
    network = drawn(build(spec, (3, 16, 16), 4))
    state = {k: v[:3] if k.startswith("out.2.") else v for k, v in network.state_dict().items()}
    return {**spec, "learn_sigma": False}, state


def test_ddim_ignores_the_learned_variance_bit_for_bit():
    short, state = halved(unet())
    alone = build(short, (3, 16, 16), 4).eval()
    alone.load_state_dict(state)
    with torch.no_grad():
        for parameter in alone.out[2].parameters():
            parameter.mul_(0.3)
        ddpm, label = process(betas="cosine"), torch.arange(2)
        start = Draws(0, "test", 0, 2).normal("x_T", (3, 16, 16))
        eps = Model(ddpm.denoiser(alone), 3)
        expected = sampler(steps=4, clip_x0="after_guidance").sample(ddpm, eps, start, label, Draws(0, "test", 0, 2))
        found = made(unet(), {"steps": 4, "clip_x0": "after_guidance"})
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)  # of three output channels or six, sums may round apart


@pytest.mark.numeric
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_ancestral_sampling_by_the_learned_variance_is_guided_diffusions(scale):
    """Its p_sample on the spaced steps in numpy: betas anew, posterior mean, log variance between two bounds.

    At scale 2 of classifier-free guidance the variance is that of the evaluation with the class.
    """
    sampling = {"kind": "ancestral", "steps": 5, "sigma": "learned", "clip_x0": "after_guidance"}
    with torch.no_grad():
        found = made(unet(), sampling, scale).double().numpy()
        network = drawn(build(unet(), (3, 16, 16), 4)).eval()
        for parameter in network.out[2].parameters():
            parameter.mul_(0.3)
    ddpm, draws, label = process(betas="cosine"), Draws(0, "test", 0, 2), torch.arange(2)
    times = [999, 749, 500, 250, 0]
    abar = ddpm.abar.numpy()[times]
    before = np.append(abar[1:], 1.0)
    beta = 1 - abar / before
    posterior = beta * (1 - before) / (1 - abar)
    x = draws.normal("x_T", (3, 16, 16)).numpy().astype(np.float64)
    for i, t in enumerate(times):
        at, here = torch.from_numpy(x).float(), torch.full((2,), float(t))
        with torch.no_grad():
            out, free = (network(at, here, k).double().numpy() for k in (label, torch.full((2,), 3)))
        eps, v = free[:, :3] + scale * (out[:, :3] - free[:, :3]), out[:, 3:]
        x0 = ((x - np.sqrt(1 - abar[i]) * eps) / np.sqrt(abar[i])).clip(-1, 1)
        mean = beta[i] * np.sqrt(before[i]) / (1 - abar[i]) * x0
        mean = mean + (1 - before[i]) * np.sqrt(1 - beta[i]) / (1 - abar[i]) * x
        if t == 0:
            x = mean
            continue
        share = (v + 1) / 2
        variance = np.exp(share * np.log(beta[i]) + (1 - share) * np.log(posterior[i]))
        x = mean + np.sqrt(variance) * draws.normal(f"step{i}", (3, 16, 16)).numpy()
    assert found == pytest.approx(x, abs=2e-4)


def test_the_learned_variance_changes_the_generations():
    sampling = {"kind": "ancestral", "steps": 5, "clip_x0": "after_guidance"}
    assert not torch.equal(made(unet(), sampling), made(unet(), {**sampling, "sigma": "learned"}))


@pytest.mark.numeric
def test_classifier_guidance_of_a_conditional_model_is_guided_diffusions():
    """Its condition_score, eps(x, t, c) - sqrt(1 - abar) w grad log p(c | x_t), at our scale 1 + w; 1 is unguided."""
    ddpm = process(betas="cosine")
    classifier = drawn(build(encoder(), (3, 16, 16), 4, True)).eval().requires_grad_(False)
    x, t, label = noise(3, 3, 16, 16).float(), torch.tensor([10, 400, 990]), torch.tensor([0, 3, 1])

    def eps(x, t, label):
        return torch.tanh(x) + label.reshape(-1, 1, 1, 1)

    point = x.clone().requires_grad_()
    torch.log_softmax(classifier(point, ddpm.time(t)), 1)[range(3), label].sum().backward()
    for weight in (0.0, 0.5, 4.0):
        model = guided(
            rule("classifier", base="conditional"), eps, 1 + weight, null=4, process=ddpm, classifier=classifier
        )
        expected = eps(x, t, label) - weight * (1 - ddpm.abar[t]).sqrt().reshape(-1, 1, 1, 1).float() * point.grad
        assert torch.allclose(model(x, t, label), expected, rtol=1e-5, atol=1e-5)
    same = guided(rule("classifier", base="conditional"), eps, 1.0, null=4, process=ddpm, classifier=classifier)
    assert torch.equal(same(x, t, label), eps(x, t, label))


def test_a_classifier_s_file_is_imported(tmp_path, capsys):
    import yaml

    original = drawn(build(encoder(), (3, 16, 16), 10, True)).eval()
    torch.save(
        {f"module.{name}": value for name, value in adm_classifier(original.state_dict()).items()}, tmp_path / "c.pt"
    )
    out = tmp_path / "c.safetensors"
    assert main(["weights", "import", str(tmp_path / "c.pt"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "layout adm_classifier" in said
    assert "classes: 10" in said
    entry = yaml.safe_load(said[said.index("classifiers:") :])["classifiers"]["mine"]
    spec = seams.parse("networks", {**entry["network"], "num_head_channels": 16})
    network = spec.build((3, 16, 16), 10, True).eval()
    network.load_state_dict(spec.adapted(read_weights(out)))
    assert torch.equal(network(images(), TIME), original(images(), TIME))


def test_scale_shift_and_one_level_are_told_by_shapes():
    from guidance_study.networks.models.layouts import layout_of

    plain = unet(resblock_updown=False, learn_sigma=False, use_scale_shift_norm=False)
    one = {**plain, "channel_mult": [2], "attention_resolutions": []}
    for spec in (unet(), plain, one, {**plain, "use_scale_shift_norm": True}):
        _, found = layout_of(build(spec, (1, 16, 16), 0).state_dict())
        assert found.entry == {key: value for key, value in spec.items() if key not in found.untold}
