"""Do bad generations sit near the boundary? Margins before and after postprocessing, and who lies off the data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from guidance_study.config.base import Colour, Name, PositiveFloat
from guidance_study.config.sentences import known
from guidance_study.figures import Figure

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure as Drawing

    from guidance_study.config.study import Study
    from guidance_study.execution.job import Job
    from guidance_study.plan.plan import Plan

TENTHS = 10


class MarginFigure(Figure):
    """At one scale: the distribution of margins by each judge, and the distance off the data by tenth of the margin."""

    kind: Literal["margin"]
    experiment: Name = Field(description="name in `experiments`")
    scale: PositiveFloat = Field(description="an evaluated guidance scale")
    arm: str = Field(description="arm name, for instance features_k20")
    colours: list[Colour] = Field(
        ["#767676", "#D55E00", "#0072B2"], min_length=3, max_length=3, description="of real data, before and after"
    )

    def check(self, at: str, study: "Study") -> None:
        """Its names exist, and something judges."""
        known(f"{at}.experiment", self.experiment, study.experiments)
        experiment = study.experiments[self.experiment]
        known(f"{at}.scale", self.scale, experiment.evaluation.scales)
        known(f"{at}.arm", self.arm, [arm.name for arm in experiment.arms])
        if experiment.evaluator is None:
            raise ValueError(f"configuration key '{at}.experiment' has the value '{self.experiment}': it has no judge")

    def asks(self, study: "Study") -> Iterator[tuple[tuple, list[str]]]:
        """The same sets as measures of the margin are of."""
        exact = study.experiments[self.experiment].exact
        yield (self.experiment, None if exact else self.scale), ["boundary" if exact else "margin"]

    def needs(self, plan: "Plan") -> tuple[dict, dict]:
        """What measures are made of, but for other arms, of the first training seed."""
        ((name, scale), _) = next(self.asks(plan.study))
        measured = plan.measures(name, scale, plan.study.seeds[0])
        own = lambda role: "/" not in role or role.startswith("judge/") or role.endswith(f"/{self.arm}")  # noqa: E731
        arms = [arm for arm in measured.params["arms"] if arm["name"] == self.arm]
        inputs = {role: artefact for role, artefact in measured.inputs.items() if own(role)}
        return inputs, measured.params | {"arms": arms, "spaces": [], "metrics": []}

    def draw(self, job: "Job") -> "Drawing":
        """The matplotlib figure."""
        from guidance_study.figures import style

        real, sets = self._sets(job)
        judges = list(real.judges)
        drawn, axes = style.figure(1, len(judges) + 1, style.WIDTH, 2.4)
        share = 0.7 / (len(judges) + 1)  # of the width, for a panel's words
        named = list(zip(("real, held out", "before", "after"), sets, self.colours, strict=True))
        for axis, judge in zip(axes[0], judges, strict=False):
            for label, one, colour in named:
                _distribution(axis, _joined(one, lambda s, by=judge: s.margin(by)), label, colour)
            axis.axvline(0, color="black", linewidth=0.6)
            named_judge = f"judge: {judge.name}".replace("_", " ") if judge.name else "exact"
            axis.set_title(style.wrapped(named_judge, style.WIDTH, share))
            axis.set_xlabel("distance")
        axes[0][0].set_ylabel("share below")
        for label, one, colour in named[:2]:
            means = _by_tenth(one, judges[0], real)
            axes[0][-1].plot(range(1, TENTHS + 1), means, color=colour, marker="o", markersize=3, label=label)
        axes[0][-1].set_title(style.wrapped("who lies off the data?", style.WIDTH, share))
        axes[0][-1].set_xticks([1, TENTHS // 2, TENTHS])
        axes[0][-1].set_xlabel("tenth")
        axes[0][-1].set_ylabel("off the data")
        drawn.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=len(named))
        about = (
            f"scale {self.scale:g}, flow {self.arm.replace('_', ' ')}; distance: to the boundary, negative on the wrong"
        )
        about += " side; right: mean distance off the data, by tenth of a class from the nearest to the boundary"
        style.heading(drawn, self.title, about)
        return drawn

    def _sets(self, job: "Job") -> tuple[Any, list[list]]:
        """The real data, and the sets of held-out data, before and after, each in its repeats."""
        from guidance_study.metrics.sets.of import sets_of

        sets = sets_of(job)
        found: dict[str, list] = {"real": [], "before": [], "after": []}
        for said, read in sets:
            here = said["scale"] in (None, self.scale) and said["arm"] in (None, self.arm)
            if here and said["state"] in found:
                found[said["state"]].append(read())
        return sets.real, list(found.values())


def _joined(sets: list, of) -> "np.ndarray":
    import numpy as np

    return np.concatenate([of(one) for one in sets])


def _distribution(axis, values: "np.ndarray", label: str, colour: str) -> None:
    import numpy as np

    axis.plot(np.sort(values), np.arange(1, len(values) + 1) / len(values), color=colour, label=label, linewidth=1.2)


def _by_tenth(sets: list, judge, real) -> list[float]:
    """Mean distance off the data in each tenth of the margins of a class, from the smallest, averaged over classes."""
    import numpy as np

    margins, off = _joined(sets, lambda s: s.margin(judge)), _joined(sets, real.off)
    labels = _joined(sets, lambda s: s.labels)
    classes = []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        tenths = np.array_split(mine[np.argsort(margins[mine], kind="stable")], TENTHS)
        classes.append([off[rows].mean() if len(rows) else np.nan for rows in tenths])
    return list(np.nanmean(classes, axis=0))
