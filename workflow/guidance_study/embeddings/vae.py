"""Latents of a pretrained autoencoder, Stable Diffusion's by default (paper, Fig. 8: 'VAE latent')."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.config.base import PositiveInt
from guidance_study.config.weights import Weights
from guidance_study.embeddings import Embedding
from guidance_study.embeddings.pretrained import completed

if TYPE_CHECKING:
    import numpy as np

FILE = "sd-vae-ft-mse.safetensors"
URL = "https://huggingface.co/stabilityai/sd-vae-ft-mse/resolve/main/diffusion_pytorch_model.safetensors"


class VAELatents(Embedding):
    """The posterior's mean, flattened; its usual scale factor is left out, for it changes no neighbour."""

    stored: ClassVar[bool] = True
    kind: Literal["vae"]
    resize: PositiveInt | None = Field(None, description="height and width that it sees; null: the samples' own")
    weights: Weights = Field(
        default_factory=Weights,
        description=f"an AutoencoderKL as diffusers stores it; default: data/weights/{FILE} (our guess)",
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_weights(cls, data):
        return completed(data, {"path": f"data/weights/{FILE}", "urls": [URL]})

    def numbers(self, shape: tuple[int, ...]) -> int:
        """Stable Diffusion's: 4 for every 8 x 8 pixels."""
        _, height, width = shape if self.resize is None else (3, self.resize, self.resize)
        return 4 * (height // 8) * (width // 8)

    def network(self) -> Any:
        """The encoder with its weights, frozen; its widths are read off the file."""
        from guidance_study.networks.models import filled
        from guidance_study.networks.models.weights import read_weights
        from guidance_study.networks.modules.vae import PosteriorMean, encoder_state, sizes

        path = self.weights.file.verified()
        state = encoder_state(read_weights(path))
        return filled(PosteriorMean(**sizes(state)), state, path, "an AutoencoderKL's encoder")

    def embed(self, samples: "np.ndarray", network: Any) -> "np.ndarray":
        """Latents (N, D) float32 of samples (N, 1 or 3, H, W) in [-1, 1]."""
        import torch

        from guidance_study.embeddings.pretrained import as_tensor

        with torch.no_grad():
            found = network(as_tensor(samples, self.resize))
        return found.flatten(1).float().cpu().numpy()
