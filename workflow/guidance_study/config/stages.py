"""The stages of the chain: the one place that says which files a stage writes. Nothing heavy is imported."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """The files of a stage's artefacts, which lie at results/<stage>/<label>-<key>/.

    `published`: the folder below results/ where copies stand under the readable name alone; `shown`: the file that
    Snakemake's report shows.
    """

    files: tuple[str, ...]
    published: str | None = None
    shown: str | None = None


STAGES: dict[str, Stage] = {
    "dataset": Stage(("train.npy", "train_labels.npy", "held_out.npy", "held_out_labels.npy")),
    "denoiser": Stage(("weights.safetensors", "losses.npy")),
    "classifier": Stage(("weights.safetensors", "losses.npy")),
    "samples": Stage(("samples.npy", "labels.npy")),
    "features": Stage(("features.npy",)),
    "statistics": Stage(("mean.npy", "covariance.npy")),
    "neighbours": Stage(("index.npy", "distance.npy")),
    "postprocessor": Stage(("weights.safetensors", "losses.npy")),
    "postprocessed": Stage(("samples.npy",)),
    "measures": Stage(("measures.json",)),
    "point_measures": Stage(("measures.json",)),
    "cost": Stage(("cost.json",)),
    "paths": Stage(("paths.npy", "labels.npy")),
    "table": Stage(("table.csv", "table.md", "table.html", "table.tex"), published="tables", shown="table.html"),
    "figure": Stage(("figure.png", "figure.pdf"), published="figures", shown="figure.png"),
}

TRAINING = ("denoiser", "classifier", "postprocessor")  # stages that may run in several processes
