"""Trajectories of the runs of an entry of `trajectories`, scale by scale."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from guidance_study.execution.job import Input, Job
from guidance_study.metrics.oracle import Oracle
from guidance_study.metrics.sets.points import Points, RealPoints
from guidance_study.networks.models import set_up
from guidance_study.processes.samplers import frame_times
from guidance_study.store.rows import columns
from guidance_study.support.reading import read_array


class Travelled:
    """A `trajectories` artefact as arrays, with its mixture and real points to compare with."""

    def __init__(self, source: Input, dataset: Input, name: str = ""):
        self.name = name  # of the entry of `trajectories`
        self.params, self.real = source.params, RealPoints.of(dataset)
        self.trajectories = read_array(source.path / "trajectories.npy")  # (rows, frames, n, d) float64
        self.labels = read_array(source.path / "labels.npy")
        self.times: list[int] = frame_times(source.params)

    @property
    def oracle(self) -> Oracle:
        return self.real.oracle

    @cached_property
    def rows(self) -> dict[tuple[str, float], int]:
        return {key: i for i, key in enumerate(columns(self.params))}

    def of(self, run: str, scale: float | None = None) -> np.ndarray:
        """The trajectories (frames, n, d) of a run at a scale, or at its first one."""
        if scale is None:
            scale = self.run(run)["scales"][0]
        return self.trajectories[self.rows[run, scale]]

    def run(self, name: str) -> dict:
        """What the recipe says of a run."""
        return next(run for run in self.params["runs"] if run["name"] == name)


@dataclass
class Trajectories(Points):
    """Those (frames, n, d) of a run at a scale; as points, their ends. `own_steps`: it takes others than the rest.

    `unguided`: the ends (n, d) of the same run at scale 1, None where it has none.
    """

    trajectories: np.ndarray = field(kw_only=True)
    all: Travelled = field(kw_only=True)
    scale: float = field(kw_only=True)
    unguided: np.ndarray | None = field(kw_only=True)
    own_steps: bool = False


class Sets:
    """The runs of a `trajectories` artefact."""

    def __init__(self, job: Job):
        set_up()
        self.travelled = Travelled(job.inputs["trajectories"], job.inputs["dataset"])
        self.real = self.travelled.real
        self.about = {"n": len(self.travelled.labels), "real": {"held_out": len(self.real.x)}}

    def __iter__(self) -> Iterator[tuple[dict, Callable[[], Trajectories]]]:
        for run, scale in self.travelled.rows:
            said = {"state": None, "arm": None, "run": run, "scale": scale, "repeat": None}
            yield said, partial(self._read, run, scale)

    def _read(self, run: str, scale: float) -> Trajectories:
        trajectories, all_ = self.travelled.of(run, scale), self.travelled
        return Trajectories(
            trajectories[-1],
            all_.labels,
            self.real,
            trajectories=trajectories,
            all=all_,
            scale=scale,
            unguided=all_.of(run, 1.0)[-1] if (run, 1.0) in all_.rows else None,
            own_steps=bool(all_.run(run)["steps"]),
        )
