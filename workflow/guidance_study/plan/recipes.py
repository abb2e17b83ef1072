"""Recipes and addresses: an artefact is known by the SHA-256 of how it is made."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from guidance_study.config.facts import Facts
from guidance_study.config.stages import STAGES, Stage
from guidance_study.plan import code
from guidance_study.sources.rawfiles import RawFile
from guidance_study.support.params import Params
from guidance_study.support.text import canonical, shown

KEY_LENGTH = 16  # hexadecimal digits of the key that stand in an address; the manifest holds the whole recipe


def recipe_key(recipe: Params) -> str:
    """The SHA-256 of a recipe's canonical JSON, shortened to KEY_LENGTH digits."""
    return hashlib.sha256(canonical(recipe).encode()).hexdigest()[:KEY_LENGTH]


def listed(scales: Collection[float]) -> str:
    """Scales in addresses: 1-2-3, or how many where they are more than five."""
    return "-".join(map(shown, scales)) if len(scales) <= 5 else f"{len(scales)}scales"


def at_scales(scales: Collection[float]) -> str:
    """Scales in sentences: at scale 2.5; at scales 1, 2, 3; at 13 scales from 1 to 7."""
    if len(scales) > 5:
        return f"at {len(scales)} scales from {shown(min(scales))} to {shown(max(scales))}"
    return f"at scale{'s' if len(scales) > 1 else ''} {', '.join(map(shown, scales))}"


@dataclass(frozen=True, eq=False)
class Artefact:
    """One node of the plan: a stage, its validated parameters, and the artefacts it is made from.

    `label` is the readable part of the address; it follows from the recipe, so that one recipe has one address.
    `about` says in a person's words what it is, by where in the study it is used first; `facts`
    what is known of a dataset's arrays; `weights` the file of those that come from outside.
    """

    stage: str
    label: str
    params: Params
    inputs: dict[str, "Artefact"] = field(default_factory=dict)
    about: str = ""
    facts: Facts | None = None
    weights: RawFile | None = None

    @property
    def spec(self) -> Stage:
        return STAGES[self.stage]

    @cached_property
    def recipe(self) -> Params:
        """{stage, code, params, inputs}: what the key is the digest of, and what the manifest keeps."""
        inputs = {role: artefact.address for role, artefact in self.inputs.items()}
        revisions = code.present().revisions(self.stage, self.params)
        return {"stage": self.stage, "code": revisions, "params": self.params, "inputs": inputs}

    @cached_property
    def key(self) -> str:
        return recipe_key(self.recipe)

    @cached_property
    def address(self) -> str:
        """Where it lies below results/: <stage>/<label>-<key>."""
        return f"{self.stage}/{self.label}-{self.key}"

    @property
    def files(self) -> list[str]:
        """Its files below results/, the manifest left out."""
        return [f"{self.address}/{name}" for name in self.spec.files]

    @property
    def manifest(self) -> str:
        """Its manifest below results/; written last, so that it vouches for the files."""
        return f"{self.address}/manifest.json"

    def ancestors(self) -> Iterator["Artefact"]:
        """This artefact and all it is made from, each once, inputs before what is made from them."""
        done: set[str] = set()
        stack: list[tuple[Artefact, bool]] = [(self, False)]
        while stack:
            node, expanded = stack.pop()
            if node.address in done:
                continue
            if expanded:
                done.add(node.address)
                yield node
            else:
                stack.append((node, True))
                stack.extend((parent, False) for parent in reversed(node.inputs.values()))
