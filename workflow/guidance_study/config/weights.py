"""Pretrained weights: a file from outside, known by its digest."""

from pathlib import Path

from pydantic import Field, model_serializer

from guidance_study.config.base import Digest, Spec
from guidance_study.sources.rawfiles import UNPINNED, RawFile


class Weights(Spec):
    """A file of weights. Its path is no part of a recipe; its digest is."""

    path: str = Field("", description="the file, as seen from the project's folder")
    sha256: Digest | None = Field(
        None, description="its SHA-256; null: the one that `python -m guidance_study pin FILE` wrote beside the file"
    )
    urls: list[str] = Field([], description="where it can be downloaded, in order of preference")

    @model_serializer
    def _recipe(self) -> dict[str, str]:
        digest = self.file.digest
        return {"sha256": digest} | ({"path": self.path} if digest == UNPINNED else {})

    @property
    def file(self) -> RawFile:
        """The file behind it, in the plan and in a job alike."""
        return RawFile(Path(self.path), self.sha256, tuple(self.urls))
