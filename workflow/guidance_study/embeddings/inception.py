"""Inception's features as clean-fid computes them: those of FID and KID (paper, Tabs. 2 and S1)."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from guidance_study.config.weights import Weights
from guidance_study.embeddings import Embedding
from guidance_study.embeddings.pretrained import completed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

FILE = "inception-2015-12-05.pt"  # the name that clean-fid looks for
SHA256 = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"
URL = f"https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/{FILE}"


class Inception(Embedding):
    """2048 features of 8-bit images, by clean-fid's own network and resizing (Parmar et al. 2022)."""

    stored: ClassVar[bool] = True
    kind: Literal["inception"]
    mode: Literal["legacy_tensorflow", "clean"] = Field(
        "legacy_tensorflow", description="resized inside the network, or by Pillow's bicubic filter (our guess)"
    )
    weights: Weights = Field(
        default_factory=Weights,
        description=f"TorchScript; default: data/weights/{FILE}, from its authors; or pytorch-fid's, imported",
    )

    @model_validator(mode="before")
    @classmethod
    def _usual_weights(cls, data):
        return completed(data, {"path": f"data/weights/{FILE}", "sha256": SHA256, "urls": [URL]})

    def network(self) -> Any:
        """clean-fid's wrapper of the TorchScript file, which is tried on one image; or pytorch-fid's. WeightsError."""
        path = self.weights.file.verified()
        return self._imported(path) if path.suffix == ".safetensors" else self._scripted(path)

    def _imported(self, path: "Path") -> Any:
        from guidance_study.networks.models import filled
        from guidance_study.networks.models.weights import read_weights
        from guidance_study.networks.modules.inception import FIDInception

        return filled(FIDInception(), read_weights(path), path, "FID's Inception as pytorch-fid stores it")

    def _scripted(self, path: "Path") -> Any:
        from pathlib import Path
        from tempfile import TemporaryDirectory

        import torch
        from cleanfid.inception_torchscript import InceptionV3W

        from guidance_study.networks.models import device
        from guidance_study.networks.models.weights import WeightsError

        side = 32 if self.mode == "legacy_tensorflow" else 299
        try:
            with TemporaryDirectory() as folder:  # clean-fid wants a folder and a name of its own
                (Path(folder) / FILE).symlink_to(path.absolute())
                network = InceptionV3W(folder, download=False, resize_inside=self.mode == "legacy_tensorflow")
            network = network.to(device()).eval().requires_grad_(False)
            with torch.no_grad():
                network(torch.zeros(1, 3, side, side, device=device()))
        except (RuntimeError, AttributeError) as error:
            said = str(error).strip().splitlines()[-1]
            raise WeightsError(f"'{path}' is not clean-fid's Inception network as TorchScript: {said}") from None
        return network

    def embed(self, samples: "np.ndarray", network: Any) -> "np.ndarray":
        """Features (N, 2048) float32 of samples (N, 1 or 3, H, W) in [-1, 1], which become 8-bit images first."""
        import numpy as np
        import torch
        from cleanfid.resize import build_resizer

        from guidance_study.metrics.images import rgb, to_uint8
        from guidance_study.networks.models import device

        images = to_uint8(rgb(samples)).transpose(0, 2, 3, 1)  # (N, H, W, 3), as clean-fid resizes them
        resizer = build_resizer(self.mode)
        resized = np.stack([resizer(image) for image in images]).astype(np.float32)
        with torch.no_grad():
            found = network(torch.from_numpy(resized.transpose(0, 3, 1, 2).copy()).to(device()))
        return found.float().cpu().numpy()
