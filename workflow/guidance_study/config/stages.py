"""The stages of the chain: one table of everything that is a fact of a stage. Nothing heavy is imported.

To add a stage: an entry here, and three files: `guidance_study/stages/<stage>.py` with `make(job)`, a rule of its name
in workflow/rules/ that names the stages it is made from, and the rule's script in workflow/scripts/. A table or figure
asks for an artefact of it in its `needs(plan)`, with `plan.add(...)`; a recipe that several of them share becomes a
function in plan/ and a line of `Plan`.

Raise a stage's version when its results change: every artefact of that stage, and what depends on it, gets a new
address. `tests/plan/test_code_digests.py` fails when the code of a stage changed and neither its version was raised nor
"same results" recorded (`python -m guidance_study code --same-results STAGE`).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Stage:
    """A stage's code version, the files of its artefacts, and how its jobs may run; artefacts lie at
    results/<stage>/<label>-<key>/.

    `trains`: may run in several processes, one a GPU (`execution: {devices: ...}`), where the recipe has a training.
    `shards`: several jobs may make its rows (`execution: {shards: ...}`): it has a `work(job)`, its rule has `shards=`.
    `gpu`: asks for a GPU never, where it computes for long, or always.
    `small`: minutes on one core, whatever the recipe; else what its operations take.
    `mapped`: reads and writes large arrays in parts; else it holds them in memory.
    `published`: the folder below results/ where copies stand under the readable name alone.
    `shown`: the file that Snakemake's report shows.
    """

    version: int
    files: tuple[str, ...]
    trains: bool = False
    shards: bool = False
    gpu: Literal["never", "long", "always"] = "never"
    small: bool = False
    mapped: bool = False
    published: str | None = None
    shown: str | None = None


WEIGHTS = ("weights.safetensors", "losses.npy")
TABLE = ("table.csv", "table.md", "table.html", "table.tex")

STAGES: dict[str, Stage] = {
    "dataset": Stage(
        1, ("train.npy", "train_labels.npy", "held_out.npy", "held_out_labels.npy"), small=True, mapped=True
    ),
    "denoiser": Stage(1, WEIGHTS, trains=True, gpu="long"),
    "classifier": Stage(1, WEIGHTS, trains=True, gpu="long"),
    "samples": Stage(1, ("samples.npy", "labels.npy"), shards=True, gpu="long", mapped=True),
    "features": Stage(1, ("features.npy",), shards=True, gpu="long", mapped=True),
    "statistics": Stage(1, ("mean.npy", "covariance.npy"), small=True, mapped=True),
    "neighbours": Stage(1, ("index.npy", "distance.npy")),
    "postprocessor": Stage(1, WEIGHTS, trains=True, gpu="long"),
    "postprocessed": Stage(1, ("samples.npy",), shards=True, gpu="long", mapped=True),
    "measures": Stage(3, ("measures.json",)),
    "cost": Stage(1, ("cost.json",), gpu="always"),
    "paths": Stage(1, ("paths.npy", "labels.npy"), small=True),
    "table": Stage(1, TABLE, small=True, mapped=True, published="tables", shown="table.html"),
    "figure": Stage(1, ("figure.png", "figure.pdf"), small=True, mapped=True, published="figures", shown="figure.png"),
}
