"""What datasets drawn from a known Gaussian mixture share."""

from pydantic import Field

from guidance_study.config.base import PositiveInt, Spec
from guidance_study.datasets import Arrays, Facts


class MixtureDataset(Spec):
    """Points of a mixture that `mixture()` gives in closed form; two draws, one to train on and one held out."""

    train: PositiveInt = Field(20000, description="training points of every class (our guess)")
    held_out: PositiveInt = Field(20000, description="held-out points of every class (our guess)")
    data_seed: int = Field(0, ge=0, description="seed of the draws, apart from the training seeds (our guess)")

    def mixture(self):
        """The `Mixture`: what `oracle.Oracle` takes."""
        raise NotImplementedError

    def facts(self) -> Facts:
        mixture = self.mixture()
        classes = max(mixture.labels) + 1
        return Facts((len(mixture.means[0]),), (self.train,) * classes, (self.held_out,) * classes, {})

    def missing(self) -> None:
        """Nothing is read from outside."""

    def load(self) -> Arrays:
        """The two parts, classes in turn within each, float32."""
        import numpy as np

        from guidance_study.oracle import Oracle
        from guidance_study.randomness import generator

        oracle = Oracle(self.mixture())
        parts = []
        for part, n in (("train", self.train), ("held_out", self.held_out)):
            sources = [generator(self.data_seed, f"data/{self.kind}/{part}", c) for c in range(oracle.classes)]
            points = [oracle.draw(source, n, c).numpy() for c, source in enumerate(sources)]
            parts += [np.concatenate(points).astype(np.float32), np.repeat(np.arange(oracle.classes), n)]
        return Arrays(*parts)
