"""Networks of published weights against their authors' code: outputs with the same random weights, not shapes alone."""

import pytest
import torch
from guidance_study.config import seams
from guidance_study.processes.rectified_flow import RectifiedFlow
from guidance_study.support.randomness import generator
from random_weights import build, drawn

pytestmark = pytest.mark.numeric

# (model_channels, use_scale_shift_norm, num_heads, use_new_attention_order) -> every fifth pixel of channel 1 of what
# torchcfm 1.0.7's UNet, which is guided-diffusion's, computes with the weights of `random_weights.drawn`; six digits.
TORCHCFM = {
    (32, False, 1, False): [
        -2.33651, -1.7817, -2.20414, -1.96876, -3.02168, -3.3023, -3.28581, -2.97108, -2.71789, -2.67773, -2.41516,
        -1.97425, -2.27163, -1.61353, -1.89679, -1.01966,
    ],
    (32, True, 1, False): [
        -2.00011, -1.70454, -1.75446, -1.53211, -2.95019, -2.88311, -2.43673, -2.15864, -2.46017, -2.39588, -2.47878,
        -1.95951, -2.08283, -0.911098, -2.28235, -0.618733,
    ],
    (128, False, 1, False): [
        -1.02088, -0.418332, -0.532655, -0.726672, -1.54864, -1.69777, -1.3567, -1.06133, -1.65801, -1.42788, -1.49978,
        -0.798737, -1.08895, -0.965797, -0.810489, -0.668751,
    ],
    (128, False, 4, False): [
        -0.889455, -0.400825, -0.703538, -0.957158, -1.62788, -1.68108, -1.53948, -1.22097, -1.66246, -1.5791, -1.61411,
        -0.98218, -1.25751, -0.859479, -0.828415, -0.715503,
    ],
    (128, False, 4, True): [
        -1.02726, -0.421671, -0.526703, -0.728155, -1.52909, -1.68831, -1.34022, -1.06166, -1.63538, -1.41181, -1.48725,
        -0.801122, -1.07713, -0.951673, -0.789379, -0.66518,
    ],
}  # fmt: skip


def computed(channels: int, scale_shift: bool, heads: int, new_order: bool, groups: int | None) -> torch.Tensor:
    spec = {
        "kind": "unet", "model_channels": channels, "num_res_blocks": 1, "channel_mult": [1, 2], "norm_groups": groups,
        "attention_resolutions": [2], "use_scale_shift_norm": scale_shift, "num_heads": heads,
        "use_new_attention_order": new_order,
    }  # fmt: skip
    network = drawn(build(spec, (3, 16, 16), 10)).eval()
    x = torch.from_numpy(generator(0, "x").standard_normal((2, 3, 16, 16), dtype="float32"))
    with torch.no_grad():
        found = network(x, torch.tensor([3.0, 700.0]), torch.tensor([1, 7]))
    return found[:, 1, ::5, ::5].flatten()[:16]


@pytest.mark.parametrize("which", TORCHCFM)
def test_the_unet_computes_what_torchcfm_s_does(which):
    expected = torch.tensor(TORCHCFM[which])
    assert computed(*which, 32) == pytest.approx(expected, rel=1e-4, abs=1e-5)  # six digits are printed


def test_groups_change_what_a_narrow_unet_computes_and_no_shape():
    own, published = computed(32, False, 1, False, None), computed(32, False, 1, False, 32)
    assert (own - published).abs().max() > 0.1
    assert torch.equal(
        computed(128, False, 1, False, None), computed(128, False, 1, False, 32)
    )  # 32 groups of four are both


def test_own_networks_keep_four_channels_a_group():
    """A group of one channel would take away what a block learns of its time and class."""
    for channels in (4, 8, 16, 32, 64):
        network = build({"kind": "unet", "model_channels": channels, "num_res_blocks": 1}, (3, 16, 16), 10)
        norms = [m for m in network.modules() if isinstance(m, torch.nn.GroupNorm)]
        assert norms
        assert all(norm.num_channels // norm.num_groups >= 4 for norm in norms)


@pytest.mark.parametrize(("scale", "seen"), [(None, 500.0), (1.0, 0.5)])
def test_the_time_that_a_flow_s_network_sees_is_a_choice(scale, seen):
    told = []
    flow = RectifiedFlow(kind="rectified_flow", **({} if scale is None else {"time_scale": scale}))
    flow.denoiser(lambda z, s, label: told.append(s) or z)(torch.zeros(1, 2), torch.tensor([0.5]), None)
    assert told[0].item() == seen


def test_groups_divide_every_level():
    with pytest.raises(ValueError, match="norm_groups has the value 32: it must divide 48 channels"):
        seams.parse("networks", {"kind": "unet", "model_channels": 48, "norm_groups": 32})
