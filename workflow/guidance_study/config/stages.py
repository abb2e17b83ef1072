"""The stages of the chain: the one place that says which files a stage writes and which version its code has.

Raise a stage's version when its results change: every artefact of that stage, and what depends on it, gets a new
address. `tests/test_code_digests.py` fails when the code of a stage changed and neither its version was raised nor
"same results" recorded (`python -m guidance_study code --same-results STAGE`). Nothing heavy is imported.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage's code version and the files of its artefacts, which lie at results/<stage>/<label>-<key>/.

    `published`: the folder below results/ where copies stand under the readable name alone; `shown`: the file that
    Snakemake's report shows.
    """

    version: int
    files: tuple[str, ...]
    published: str | None = None
    shown: str | None = None


STAGES: dict[str, Stage] = {
    "dataset": Stage(1, ("train.npy", "train_labels.npy", "held_out.npy", "held_out_labels.npy")),
    "denoiser": Stage(1, ("weights.safetensors", "losses.npy")),
    "classifier": Stage(1, ("weights.safetensors", "losses.npy")),
    "samples": Stage(1, ("samples.npy", "labels.npy")),
    "features": Stage(1, ("features.npy",)),
    "statistics": Stage(1, ("mean.npy", "covariance.npy")),
    "neighbours": Stage(1, ("index.npy", "distance.npy")),
    "postprocessor": Stage(1, ("weights.safetensors", "losses.npy")),
    "postprocessed": Stage(1, ("samples.npy",)),
    "measures": Stage(3, ("measures.json",)),
    "cost": Stage(1, ("cost.json",)),
    "paths": Stage(1, ("paths.npy", "labels.npy")),
    "table": Stage(1, ("table.csv", "table.md", "table.html", "table.tex"), published="tables", shown="table.html"),
    "figure": Stage(1, ("figure.png", "figure.pdf"), published="figures", shown="figure.png"),
}

TRAINING = ("denoiser", "classifier", "postprocessor")  # stages that may run in several processes
