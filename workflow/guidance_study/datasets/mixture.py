"""What datasets drawn from a known Gaussian mixture share."""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from guidance_study.config.base import PositiveInt
from guidance_study.datasets import Arrays, Dataset, Facts
from guidance_study.datasets.mixtures import Mixture

if TYPE_CHECKING:
    import numpy as np

CLASSES = 2  # a decision boundary is one between two


class MixtureDataset(Dataset):
    """Points of a mixture that `mixture()` gives in closed form; two draws, one to train on and one held out."""

    renamed: ClassVar = {"data_seed": "seed"}

    train: PositiveInt = Field(20000, description="training points of every class (our guess)")
    held_out: PositiveInt = Field(20000, description="held-out points of every class (our guess)")

    dimension: ClassVar[int]  # of a point; the plan asks for it often, and need not build the mixture for that

    @abstractmethod
    def mixture(self) -> Mixture:
        """The mixture of CLASSES classes, one after the other: what `oracle.Oracle` takes."""

    def facts(self) -> Facts:
        return Facts((self.dimension,), (self.train,) * CLASSES, (self.held_out,) * CLASSES, {})

    def random(self) -> bool:
        return True

    def load(self) -> Arrays:
        """The two parts, classes in turn within each, float32."""
        import numpy as np

        parts = []
        for part, n in (("train", self.train), ("held_out", self.held_out)):
            parts += [np.concatenate([self.draw(part, label, n) for label in range(CLASSES)])]
            parts += [np.repeat(np.arange(CLASSES), n)]
        return Arrays(*parts)

    def draw(self, part: str, label: int, n: int) -> "np.ndarray":
        """n points (n, d) of a class, float32: those of `part`, whose name keys the draw."""
        import numpy as np

        from guidance_study.support.randomness import generator

        mixture, source = self.mixture(), generator(self.seed or 0, f"data/{self.kind}/{part}", label)
        mine = np.flatnonzero(np.array(mixture.labels) == label)
        weights = np.array(mixture.weights)[mine]
        k = mine[source.choice(len(mine), size=n, p=weights / weights.sum())]
        means, variances, axes = (np.array(v) for v in (mixture.means, mixture.variances, mixture.axes))
        noise = np.sqrt(variances[k]) * source.standard_normal((n, means.shape[1]))
        return (means[k] + np.einsum("nij,nj->ni", axes[k], noise)).astype(np.float32)
