"""Generated images at one scale, in repeats: before, after each arm, and the retrieval controls; real images."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np

from guidance_study.config.experiments import EVALUATOR
from guidance_study.execution.job import Input, Job
from guidance_study.metrics.frechet import Gaussian
from guidance_study.metrics.sets import HasBoundary, Real, Samples
from guidance_study.metrics.sets.choice import moved
from guidance_study.metrics.sets.real import real_sample
from guidance_study.neighbours.retrieval import Space, retrieved
from guidance_study.neighbours.search import Neighbours, class_neighbours
from guidance_study.support.reading import read_array

PARTS = ("train", "held_out")  # of the real data


class Seen:
    """A space in which sets of images are compared."""

    name: str
    pretrained: bool

    def __init__(self, labels: dict[str, np.ndarray]):
        self._labels = labels
        self.of_class = cache(self._of_class)

    @cached_property
    def real(self) -> dict[str, np.ndarray]:
        """Features (N, D) of each part of the real images."""
        raise NotImplementedError

    @cached_property
    def gaussian(self) -> dict[str, Gaussian]:
        """Fitted to them."""
        raise NotImplementedError

    def _of_class(self, part: str, label: int) -> Gaussian:
        """Fitted to a class of the real images."""
        return Gaussian.of(self.real[part][self._labels[part] == label])

    def features(self, images: np.ndarray, of: str) -> np.ndarray:
        """Features (n, D) of images (n, *shape), which are the set `of`: before, or an arm."""
        raise NotImplementedError

    def guesses(self, features: np.ndarray) -> np.ndarray:
        """The classes (n,) of images from their features, where it is a classifier's space."""
        raise NotImplementedError


class Judge(Seen):
    """A classifier that judges: features of real and generated images, and the classes that it sees."""

    pretrained = False

    def __init__(self, name: str, source: Input, images: dict[str, np.ndarray], labels: dict[str, np.ndarray]):
        from guidance_study.networks.models import load_classifier, set_up

        super().__init__(labels)
        set_up()
        self.name, self.network, self._images = name, load_classifier(source), images

    @cached_property
    def real(self) -> dict[str, np.ndarray]:
        return {part: self.features(images, part) for part, images in self._images.items()}

    @cached_property
    def gaussian(self) -> dict[str, Gaussian]:
        return {part: Gaussian.of(features) for part, features in self.real.items()}

    def features(self, images: np.ndarray, of: str) -> np.ndarray:
        from guidance_study.networks.models import features

        return features(self.network, images)

    def distance(self, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """First-order distance (n,) of images to the boundary of their class, positive on its side."""
        from guidance_study.networks.models.margins import first_order

        return first_order(self.network, x, labels)

    def guesses(self, features: np.ndarray) -> np.ndarray:
        """The classes (n,) of images from their features."""
        from guidance_study.networks.models import predicted

        return predicted(self.network, features)


class Pretrained(Seen):
    """A pretrained network's space: the features of every set are artefacts, as are the real ones' statistics."""

    pretrained = True

    def __init__(self, job: Job, name: str, labels: dict[str, np.ndarray]):
        super().__init__(labels)
        self._job, self.name = job, name

    @cached_property
    def real(self) -> dict[str, np.ndarray]:
        return {part: self._stored(part) for part in PARTS}

    @cached_property
    def gaussian(self) -> dict[str, Gaussian]:
        folders = {part: self._job.inputs[f"statistics/{self.name}/{part}"].path for part in PARTS}
        return {p: Gaussian(read_array(f / "mean.npy"), read_array(f / "covariance.npy")) for p, f in folders.items()}

    def features(self, images: np.ndarray, of: str) -> np.ndarray:
        return self._stored(of)

    def _stored(self, of: str) -> np.ndarray:
        return read_array(self._job.inputs[f"seen/{self.name}/{of}"].path / "features.npy", mmap_mode="r")


class RealImages(Real):
    """Real images and their labels by part, and the spaces in which they are seen."""

    def __init__(self, job: Job):
        super().__init__()
        folder, self._job = job.inputs["dataset"].path, job
        self.images = {part: read_array(folder / f"{part}.npy", mmap_mode="r") for part in PARTS}
        self.labels = {part: read_array(folder / f"{part}_labels.npy") for part in PARTS}

    @property
    def known(self) -> "Images":
        """The training images as a set."""
        return Images(self.images["train"], self.labels["train"], dict)

    @property
    def judges(self) -> list[Judge]:
        """The classifiers among the spaces."""
        return [space for space in self.spaces if isinstance(space, Judge)]

    def off(self, one: "Images") -> np.ndarray:
        """Distance of each image to the nearest training image of its class, over that one's to its nearest, (n,)."""
        bank, labels = self.images["train"].reshape(len(self.images["train"]), -1), self.labels["train"]
        spacing = self.once("spacing", lambda: class_neighbours(bank, labels, bank, labels, 2).distance[:, 1])
        found = class_neighbours(one.samples.reshape(len(one.samples), -1), one.labels, bank, labels, 1)
        return found.distance[:, 0] / np.maximum(spacing[found.index[:, 0]], np.finfo(np.float32).eps)

    @cached_property
    def spaces(self) -> list[Seen]:
        inputs, known = self._job.inputs, (self.images, self.labels)
        judges: list[Seen] = [Judge(EVALUATOR, inputs[EVALUATOR], *known)] if EVALUATOR in inputs else []
        judges += [Judge(name, inputs[f"judge/{name}"], *known) for name in self._job.params["judges"]]
        return judges + [Pretrained(self._job, name, self.labels) for name in self._job.params["spaces"]]


@dataclass
class Images(Samples):
    """Images (n, *shape), their labels, and the parts of the real data that they are compared with.

    `before`: the same before postprocessing, where these are after it.
    """

    images: np.ndarray
    labels: np.ndarray
    see: Callable[[], dict[str, np.ndarray]]
    references: tuple[str, ...] = PARTS
    before: "Images | None" = None
    part_of: "tuple[Images, slice] | None" = None

    @property
    def samples(self) -> np.ndarray:
        return self.images

    def margin(self, by: HasBoundary) -> np.ndarray:
        """Signed distance (n,) of each image to the boundary of its class by a judge, computed once for all repeats."""
        if self.part_of is None:
            return super().margin(by)
        whole, rows = self.part_of
        return whole.margin(by)[rows]

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """Features (n, D) by space."""
        return self.see()


class Sets:
    """The sets of an experiment's images at one scale."""

    def __init__(self, job: Job):
        self.job, self.real = job, RealImages(job)
        folder = job.inputs["samples"].path
        self.samples, self.labels = read_array(folder / "samples.npy", mmap_mode="r"), read_array(folder / "labels.npy")
        self.repeats = np.array_split(np.arange(len(self.samples)), job.params["repeats"])
        counts = {part: len(images) for part, images in self.real.images.items()}
        self.about = {"n": len(self.repeats[0]), "real": counts}

    def __iter__(self) -> Iterator[tuple[dict, Callable[[], Images]]]:
        (scale,) = self.job.inputs["samples"].params["scales"]
        for state, arm, read in self._whole():
            for r, rows in enumerate(self.repeats):
                said = {"state": state, "arm": arm, "scale": scale, "repeat": r}
                yield said, partial(self._part, read, slice(rows[0], rows[-1] + 1))
        whole = {"scale": scale, "repeat": None}
        yield {"state": "real", "arm": None, **whole}, self._held_out
        for arm in self.job.params["arms"]:
            if f"real/{arm['name']}/0" in self.job.inputs:
                yield {"state": "real_after", "arm": arm["name"], **whole}, partial(self._real_after, arm["name"])

    def _whole(self) -> Iterator[tuple[str, str | None, Callable[[], Images]]]:
        """The sets before they are divided into repeats, in the order of the generations; each read once."""
        yield "before", None, lambda: self._before
        for arm in self.job.params["arms"]:
            yield "after", arm["name"], cache(lambda arm=arm: self._after(arm))
            if not arm["control"]:
                yield "retrieval", arm["name"], cache(lambda arm=arm: self._retrieved(arm))

    @cached_property
    def _before(self) -> Images:
        see = lambda: {s.name: s.features(self.samples, "before") for s in self.real.spaces}  # noqa: E731
        return Images(self.samples, self.labels, see)

    def _after(self, arm: dict) -> Images:
        images = read_array(self.job.inputs[f"postprocessed/{arm['name']}"].path / "samples.npy", mmap_mode="r")
        see = lambda: {s.name: s.features(images, arm["name"]) for s in self.real.spaces}  # noqa: E731
        after = Images(images, self.labels, see, before=self._before)
        return self._mixed(after, self._moved(arm)) if arm["moves"] else after

    def _moved(self, arm: dict) -> np.ndarray:
        """Which generations (n,) bool a control moves."""
        far = self._neighbours(arm).distance[:, 0]
        one = np.zeros(len(self.labels))  # all are of one scale
        return moved(self.job, arm["moves"], self.samples, self.labels, one, far)

    def _mixed(self, after: Images, rows: np.ndarray) -> Images:
        """Generations of which these rows (n,) bool alone are moved."""
        before = self._before
        images = np.array(before.images)
        images[rows] = after.images[rows]

        def see() -> dict[str, np.ndarray]:
            return {n: np.where(rows[:, None], after.features[n], of) for n, of in before.features.items()}

        return Images(images, self.labels, see, before=before)

    def _neighbours(self, arm: dict) -> Neighbours:
        return Space(self.job, arm, f"/{arm['name']}").neighbours(self.samples, self.labels)

    def _retrieved(self, arm: dict) -> Images:
        index = retrieved(self._neighbours(arm).index, self.job.params["seed"])
        see = lambda: {s.name: s.real["train"][index] for s in self.real.spaces}  # noqa: E731
        return Images(self.real.images["train"][index], self.labels, see)

    def _part(self, read: Callable[[], Images], rows: slice) -> Images:
        whole = read()
        see = lambda: {name: features[rows] for name, features in whole.features.items()}  # noqa: E731
        earlier = whole.before
        before = earlier and self._part(lambda: earlier, rows)
        return Images(whole.images[rows], whole.labels[rows], see, before=before, part_of=(whole, rows))

    def _real_after(self, arm: str) -> Images:
        """Held-out images after an arm's flow, which should leave them as they are."""
        source = self.job.inputs[f"real/{arm}/0"]
        start, labels = real_sample(self.job.inputs["dataset"], source.params["real"])
        images = read_array(source.path / "samples.npy", mmap_mode="r")
        of = lambda x, name: lambda: {s.name: s.features(x, name) for s in self.real.spaces}  # noqa: E731
        before = Images(start, labels, of(start, "real"), ("train",))
        return Images(images, labels, of(images, f"real/{arm}"), ("train",), before)

    def _held_out(self) -> Images:
        """Real images in the generations' place."""
        see = lambda: {s.name: s.real["held_out"] for s in self.real.spaces}  # noqa: E731
        return Images(self.real.images["held_out"], self.real.labels["held_out"], see, ("train",))
