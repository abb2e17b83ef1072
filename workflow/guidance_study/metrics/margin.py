"""How far images are from the decision boundary of a classifier that judges."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from guidance_study.metrics import Column, Metric, Row

if TYPE_CHECKING:
    from guidance_study.metrics.sets.images import Images, RealImages

DEEPFOOL = 200  # images, evenly spread, whose smallest change of class is sought


class Margin(Metric):
    """First-order distance to the nearest boundary of each judge, and DeepFool's smallest change of class."""

    kind: Literal["margin"]
    of = ("images",)
    judged = ("margin", "margin_05", "margin_wrong", "deepfool")
    states = ("real", "before", "after", "retrieval", "real_after")
    columns = (
        Column("margin", "margin"),
        Column("margin_05", "margin, 5 %"),
        Column("margin_wrong", "on the wrong side"),
        Column("deepfool", "smallest change of class"),
    )
    meaning = (
        "Margin: first-order distance in pixels to the nearest decision boundary of the class, by a classifier that saw"
        " neither the models' images nor the generations; negative on the wrong side; 5 %: its quantile. Smallest"
        f" change of class: by DeepFool, mean over at most {DEEPFOOL} images a set."
    )

    def measure(self, one: Images, real: RealImages) -> Iterator[Row]:
        """All four, for each judge."""
        import numpy as np

        from guidance_study.networks.models.margins import deepfool

        rows = np.unique(np.linspace(0, len(one.labels) - 1, min(DEEPFOOL, len(one.labels))).astype(int))
        for judge in real.judges:
            margins = one.margin(judge)
            yield Row("margin", float(margins.mean()), judge.name)
            yield Row("margin_05", float(np.quantile(margins, 0.05)), judge.name)
            yield Row("margin_wrong", float((margins < 0).mean()), judge.name)
            yield Row("deepfool", float(np.nanmean(deepfool(judge.network, one.images[rows]))), judge.name)
