"""Small files of weights with exactly the layout of those that the embeddings download, drawn at random.

Each function writes one and returns {path, sha256}, what a configuration says of it.
"""

from pathlib import Path

import timm
import torch
from guidance_study.networks.modules.vae import PosteriorMean
from guidance_study.support.writing import sha256
from random_weights import drawn
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

VIT = "vit_small_patch14_reg4_dinov2"


class InceptionStandIn(nn.Module):
    """What clean-fid asks of the TorchScript file: `layers` on normalised images, `forward` on raw ones."""

    def __init__(self, features: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 13, stride=13), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, features)
        )
        self.output = nn.Linear(features, 8)

    def forward(self, img: Tensor, return_features: bool = False) -> Tensor:
        """img (N, 3, H, W) in [0, 255] -> features (N, features), or probabilities."""
        x = F.interpolate(img, size=[299, 299], mode="bilinear", align_corners=False)
        features = self.layers((x - 128) / 128)
        return features if return_features else self.output(features).softmax(1)


def write_inception(path: Path, features: int = 2048) -> dict:
    """TorchScript that clean-fid loads as its Inception network; its widths are far smaller."""
    torch.jit.script(drawn(InceptionStandIn(features))).save(path)
    return described(path)


def write_timm(path: Path, model: str = VIT, **sizes) -> dict:
    """A network of timm as it publishes them; a DINOv2 one has positions for 518 pixels and no head."""
    return written(path, drawn(timm.create_model(model, **sizes)).state_dict())


def write_vit(path: Path) -> dict:
    """The smallest DINOv2 with registers, at full size: 88 MB."""
    return write_timm(path, num_classes=0)


def write_vae(path: Path, old_names: bool = False) -> dict:
    """An autoencoder of Stable Diffusion's layout, narrower, with a key of its decoder; or with its former names."""
    network = drawn(PosteriorMean(widths=(32, 32, 64, 64), blocks=2, latent=4, quantised=True))
    state = {**network.state_dict(), "decoder.conv_in.bias": torch.zeros(64), "post_quant_conv.bias": torch.zeros(4)}
    if old_names:
        for now, then in {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}.items():
            state = {key.replace(f".{now}.", f".{then}."): value for key, value in state.items()}
    return written(path, state)


def adm_classifier(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A `unet_encoder`'s state dict with guided-diffusion's name and shape of the last layer."""
    last = {"out.2.c_proj.weight": state["head.weight"][:, :, None], "out.2.c_proj.bias": state["head.bias"]}
    return {name: value for name, value in state.items() if not name.startswith("head.")} | last


def written(path: Path, state: dict[str, Tensor]) -> dict:
    """Write a state dict as safetensors."""
    save_file(state, path)
    return described(path)


def described(path: Path) -> dict:
    """The file as a configuration says it."""
    return {"path": str(path), "sha256": sha256(path)}
