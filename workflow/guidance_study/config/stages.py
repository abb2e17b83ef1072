"""The stages of the chain: one table of everything that is a fact of a stage. Nothing heavy is imported.

To add a stage: an entry here, and three files: `guidance_study/stages/<stage>.py` with `make(job)`, a rule of its name
in workflow/rules/ that names the stages it is made from, and the rule's script in workflow/scripts/. A table or figure
asks for an artefact of it in its `needs(plan)`, with `plan.add(...)`; a recipe that several of them share becomes a
function in plan/ and a line of `Plan`.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Stage:
    """The files of a stage's artefacts, which lie at results/<stage>/<label>-<key>/, and how its jobs may run.

    `trains`: may run in several processes, one a GPU (`execution: {devices: ...}`), where the recipe has a training.
    `shards`: several jobs may make its rows (`execution: {shards: ...}`): it has a `work(job)`, its rule has `shards=`.
    `gpu`: asks for a GPU never, where it computes for long, or always.
    `small`: minutes on one core, whatever the recipe; else what its operations take.
    `mapped`: reads and writes large arrays in parts; else it holds them in memory.
    `published`: the folder below results/ where copies stand under the readable name alone.
    `shown`: the file that Snakemake's report shows.
    """

    files: tuple[str, ...]
    trains: bool = False
    shards: bool = False
    gpu: Literal["never", "long", "always"] = "never"
    small: bool = False
    mapped: bool = False
    published: str | None = None
    shown: str | None = None


WEIGHTS = ("weights.safetensors", "losses.npy")
PARTS = tuple(f"{part}{of}.npy" for part in ("train", "judge", "held_out") for of in ("", "_labels"))
TABLE = ("table.csv", "table.md", "table.html", "table.tex")

STAGES: dict[str, Stage] = {
    "dataset": Stage(PARTS, small=True, mapped=True),
    "denoiser": Stage(WEIGHTS, trains=True, gpu="long"),
    "classifier": Stage(WEIGHTS, trains=True, gpu="long"),
    "samples": Stage(("samples.npy", "labels.npy"), shards=True, gpu="long", mapped=True),
    "features": Stage(("features.npy",), shards=True, gpu="long", mapped=True),
    "statistics": Stage(("mean.npy", "covariance.npy"), small=True, mapped=True),
    "neighbours": Stage(("index.npy", "distance.npy")),
    "postprocessor": Stage(WEIGHTS, trains=True, gpu="long"),
    "postprocessed": Stage(("samples.npy",), shards=True, gpu="long", mapped=True),
    "measures": Stage(("measures.json",)),
    "cost": Stage(("cost.json",), gpu="always"),
    "trajectories": Stage(("trajectories.npy", "labels.npy"), small=True),
    "table": Stage(TABLE, small=True, mapped=True, published="tables", shown="table.html"),
    "figure": Stage(("figure.png", "figure.pdf"), small=True, mapped=True, published="figures", shown="figure.png"),
    "page": Stage(("page.html", "page.md", "page.json"), small=True, mapped=True, published=".", shown="page.html"),
}
