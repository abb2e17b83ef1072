"""Features of pretrained networks from timm, DINOv2 with registers above all (paper, Tab. S1 and Fig. 8)."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import PositiveFloat, PositiveInt
from guidance_study.config.weights import Weights
from guidance_study.embeddings import Embedding
from guidance_study.embeddings.pretrained import completed

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MODEL = "vit_base_patch14_reg4_dinov2.lvd142m"
WITHOUT_REGISTERS = r"vit_[a-z]+_patch14_dinov2(\.|$)"
THREE = {"min_length": 3, "max_length": 3}


@cache
def known_to_timm(name: str) -> bool:
    """Whether timm's files define a network of this name, with this tag where it has one; true where timm is not there.

    They are searched, not run: a plan has no seconds for torch.
    """
    found = find_spec("timm")
    folder = Path(found.origin).parent / "models" if found and found.origin else Path()
    said = re.compile(rf"""^def {re.escape(name)}\(|["']{re.escape(name)}["']""", re.MULTILINE)
    return not folder.is_dir() or any(said.search(file.read_text(encoding="utf-8")) for file in folder.glob("*.py"))


def hub_positions(trained: "Tensor", side: int) -> "Tensor":
    """Positions (1, 1 + M^2, D), the class token's first, for side x side patches, (1, 1 + side^2, D).

    As DINOv2's own code resamples them in its models without registers: bicubic, without antialiasing, by the factor
    (side + 0.1) / M. timm antialiases.
    """
    import torch
    from torch.nn.functional import interpolate

    grid = round((trained.shape[1] - 1) ** 0.5)
    patches = trained[:, 1:].transpose(1, 2).unflatten(2, (grid, grid))  # (1, D, M, M)
    factor = (side + 0.1) / grid
    resampled = interpolate(patches, scale_factor=(factor, factor), mode="bicubic", antialias=False)
    return torch.cat([trained[:, :1], resampled.flatten(2).transpose(1, 2)], dim=1)


class TimmFeatures(Embedding):
    """A layer of any of timm's networks; samples are clipped to [-1, 1], resized and normalised as it was trained."""

    stored: ClassVar[bool] = True
    kind: Literal["timm"]
    model: Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)?$")] = Field(
        MODEL, description="timm's name, with the tag of its weights (our guess)"
    )
    pool: Literal["cls", "patch_mean", "features"] = Field(
        description="class token or mean of the patch tokens, both after the final norm (paper), or what the head sees"
    )
    resize: PositiveInt = Field(224, description="height and width that the network sees (our guess)")
    resample: Literal["float", "uint8"] = Field(
        "float",
        description="resize in floating point, or as Pillow does images of 8 bits, as tools that read files do (our"
        " guess; dgm-eval's is uint8)",
    )
    mean: Annotated[list[float], Field(**THREE)] | None = Field(
        None, description="of values in [0, 1]; null: what timm says that the network was trained with"
    )
    std: Annotated[list[PositiveFloat], Field(**THREE)] | None = Field(None, description="likewise")
    weights: Weights = Field(
        default_factory=Weights, description="default: data/weights/<model>.safetensors, from timm's own repository"
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_weights(cls, data):
        """timm publishes the weights of a name with a tag in a repository of that name."""
        model = str(data.get("model", MODEL)) if isinstance(data, dict) else ""
        url = f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors"
        return completed(data, {"path": f"data/weights/{model}.safetensors", "urls": [url] if "." in model else []})

    @model_validator(mode="after")
    def _exists(self):
        if not known_to_timm(self.model):
            raise ValueError(f"model has the value '{self.model}': timm has none of this name")
        return self

    @model_validator(mode="after")
    def _patches_fit(self):
        side = re.search(r"patch(\d+)", self.model)
        if side and int(side[1]) and self.resize % int(side[1]):
            raise ValueError(f"resize has the value {self.resize}: '{self.model}' needs a multiple of {side[1]}")
        return self

    def network(self) -> Any:
        """The network with its weights, frozen, its positional embeddings resampled to the grid of `resize`."""
        from guidance_study.networks.models import filled
        from guidance_study.networks.models.weights import read_weights

        network = self._built()
        path = self.weights.file.verified()
        heads = network.pretrained_cfg.get("classifier") or ()
        heads = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
        wanted = network.state_dict()
        state = {k: v for k, v in read_weights(path).items() if k in wanted or not k.startswith(heads)}
        loaded: Any = filled(network, state, path, self.model)
        if hasattr(loaded, "set_input_size"):
            trained = loaded.pos_embed if re.match(WITHOUT_REGISTERS, self.model) else None
            loaded.set_input_size(img_size=(self.resize, self.resize))
            if trained is not None and trained.shape != loaded.pos_embed.shape:
                loaded.pos_embed.copy_(hub_positions(trained, loaded.patch_embed.grid_size[0]))
        return loaded

    def embed(self, samples: "np.ndarray", network: Any) -> "np.ndarray":
        """Features (N, D) float32 of samples (N, 1 or 3, H, W) in [-1, 1]."""
        import torch

        from guidance_study.embeddings.pretrained import as_tensor

        with torch.no_grad():
            images = (as_tensor(samples, self.resize, self.resample == "uint8") + 1) / 2
            said = network.pretrained_cfg
            both = self.mean or said["mean"], self.std or said["std"]
            mean, std = (images.new_tensor(values)[:, None, None] for values in both)
            images = (images - mean) / std
            if self.pool == "features":
                found = network(images)
            else:
                tokens = network.forward_features(images)  # (N, class and registers, then patches; D)
                found = tokens[:, 0] if self.pool == "cls" else tokens[:, network.num_prefix_tokens :].mean(1)
        return found.float().cpu().numpy()

    def _built(self):
        """The network at its own size with random weights and no head. StudyError: a key that it cannot satisfy."""
        import timm
        from torch import nn

        from guidance_study.support.errors import StudyError

        try:
            network = timm.create_model(self.model, pretrained=False, num_classes=0)
        except RuntimeError as error:
            raise StudyError(f"embedding model '{self.model}' is none of timm {timm.__version__}: {error}") from None
        normed = not isinstance(getattr(network, "norm", nn.Identity()), nn.Identity)
        tokens = normed and hasattr(network, "num_prefix_tokens")
        if self.pool == "cls" and not (tokens and getattr(network, "cls_token", None) is not None):
            raise StudyError(f"embedding pool 'cls' needs a model with a normed class token, not '{self.model}'")
        if self.pool == "patch_mean" and not tokens:
            raise StudyError(f"embedding pool 'patch_mean' needs a model with normed tokens, not '{self.model}'")
        patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
        if patch and any(self.resize % side for side in patch):
            raise StudyError(f"embedding key 'resize' is {self.resize}: '{self.model}' needs a multiple of {patch[0]}")
        return network
