"""What a stage gets to make its artefact from."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Input:
    """A finished artefact as a stage sees it: its folder, the recipe that made it, and one digest of its files."""

    path: Path
    recipe: dict
    content: str = ""

    @property
    def params(self) -> dict:
        return self.recipe["params"]


@dataclass
class Job:
    """What a stage's `make(job)` gets: parameters, inputs by role, and the folder that its files go into."""

    params: dict
    inputs: dict[str, Input]
    out: Path
    checkpoints: Path
    facts: dict = field(default_factory=dict)  # deterministic numbers for the manifest: NFE, parameters, ...
    shards: list[Path] = field(default_factory=list)  # markers of the shards that already made its large array
    code: dict[str, str] = field(default_factory=dict)  # unit -> revision, as the recipe has them
    parts: int = 1  # jobs that share the work

    @property
    def units(self) -> dict[str, str]:
        """The units of code that it runs: those of its recipe, and the kinds that made its inputs: it may ask them."""
        kinds = {unit: revision for source in self.inputs.values() for unit, revision in source.recipe["code"].items()}
        return {unit: revision for unit, revision in kinds.items() if not unit.startswith("stages/")} | self.code
