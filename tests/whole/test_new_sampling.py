"""A process, a sampler and a guidance rule of one's own: one file each and a line of configuration, up to a table."""

import pytest
from conftest import command_line, digests
from guidance_study.config.loading import merge

pytestmark = pytest.mark.slow

PROCESS = '''
from typing import ClassVar, Literal

from guidance_study.processes import Process


class Exploding(Process):
    """x = x_0 + sigma n; the network learns n at ln(sigma) uniform in [-3, 3]."""

    kind: Literal["exploding"]
    sampler: ClassVar[str] = "euler"

    def times(self, draw, batch):
        return draw.uniform(-3, 3, size=batch).astype("float32")

    def sigma(self, t):
        return 2.718281828**t

    def denoiser(self, network):
        return lambda x, t, label: network(x / (1 + t.exp() ** 2).sqrt().reshape(-1, 1, 1, 1), 100 * (t + 3), label)

    def loss(self, m, x0, label, t, noise):
        return ((m(x0 + t.exp().reshape(-1, 1, 1, 1) * noise, t, label) - noise) ** 2).mean()
'''

SAMPLER = '''
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import PositiveInt
from guidance_study.processes.exploding import Exploding
from guidance_study.processes.samplers import Sampler, Step


class Euler(Sampler):
    """Euler's method on dx/dsigma = n, from sigma = e^3."""

    kind: Literal["euler"]
    steps: PositiveInt = Field(8, description="steps (our guess)")
    fits: ClassVar = (Exploding,)

    def evaluations(self):
        return self.steps

    def sample(self, process, model, x, label, draws):
        x = process.sigma(3) * x
        for i, (t, after) in enumerate(pairwise(3 - 6 * i / self.steps for i in range(self.steps + 1))):
            step = Step(process, i, self.steps, t, after)
            x = x + (step.next_sigma - step.sigma) * model(x, x.new_full((len(x),), t), label, step)
        return x
'''

RULE = '''
from typing import ClassVar, Literal

from pydantic import Field

from guidance_study.config.base import Name
from guidance_study.guidance import Guidance


class Momentum(Guidance):
    """Away from a weaker model, by what the last steps say too, and only while there is little noise."""

    kind: Literal["momentum"]
    weaker: Name | None = Field(None, description="name in `models`")
    decay: float = Field(0.5, ge=0, lt=1, description="of the steps before (our guess)")
    short: ClassVar[str] = "momentum"
    title: ClassVar[str] = "momentum"
    conditional: ClassVar[bool] = True
    roles: ClassVar = {"weaker": "models"}

    def start(self, batch):
        kept = 0.0

        def guided(x, t, label, step):
            nonlocal kept
            strong = batch.model(x, t, label)
            kept = self.decay * kept + strong - batch.models["weaker"](x, t, label)
            return strong + (batch.scale - 1) * kept if step.sigma < 5 else strong

        return guided
'''

CHANGES = {
    "processes": {"exploding": {"kind": "exploding"}},
    "models": {"digits_conditional": {"process": "exploding"}},
    "experiments": {
        "digits_cfg": {
            "guidance": {"kind": "momentum", "weaker": "weaker"},
            "sampler": {"kind": "euler", "steps": 4},
            "arms": [],
            "evaluation": {"scales": [1, 2.5]},
        }
    },
}


@pytest.fixture
def own(tiny, project):
    """The tiny study of digits with the three files, and a base model that was trained for a third of the steps."""
    tiny["experiments"] = {"digits_cfg": tiny["experiments"]["digits_cfg"]}
    tiny["experiments"]["digits_cfg"] |= {"guidance": {}, "sampler": {}}  # keys of another kind would stay
    table = tiny["tables"]["table_digits_nn"]
    config = merge(tiny, CHANGES) | {"tables": {"mine": table}, "figures": {}, "paths": {}, "all": ["mine"]}
    base = config["models"]["digits_conditional"]
    config["models"] = {"digits_conditional": base, "weaker": merge(base, {"training": {"steps": 10}})}
    folder = project(config)
    package = folder / "workflow" / "guidance_study"
    (package / "processes" / "exploding.py").write_text(PROCESS)
    (package / "processes" / "samplers" / "euler.py").write_text(SAMPLER)
    (package / "guidance" / "momentum.py").write_text(RULE)
    return folder, config


def test_a_process_a_sampler_and_a_rule_of_ones_own_make_a_table(own):
    import numpy as np
    import pandas as pd
    from guidance_study.store.artefacts import Store

    folder, _ = own
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr
    assert "| momentum |" in (folder / "results" / "tables" / "mine.md").read_text()
    assert set(pd.read_csv(folder / "results" / "tables" / "mine.csv")["scale"]) == {1, 2.5}
    store, made = Store(folder / "results"), digests(folder)
    samples = [a for a in made if a.startswith("samples/momentum-")]
    weaker, base = sorted(
        (a for a in made if a.startswith("denoiser/")),
        key=lambda a: store.manifest(a)["recipe"]["params"]["training"]["steps"],
    )
    recipes = [store.manifest(address)["recipe"] for address in samples]
    assert [r["inputs"] for r in recipes] == [{"denoiser": base, "weaker": weaker}] * 2
    assert all(r["params"]["guidance"] == {"kind": "momentum", "decay": 0.5} for r in recipes)  # models by content
    assert [store.manifest(address)["facts"]["nfe"] for address in samples] == [4, 4]
    assert all(np.isfinite(np.load(store.open(address) / "samples.npy")).all() for address in samples)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler": {"kind": "ddim"}}, "sampler.kind' has the value 'ddim': allowed are euler"),
        ({"guidance": {"weaker": "x"}}, "guidance.weaker' has the value 'x': allowed are digits_conditional, weaker"),
        ({"guidance": {"weaker": None}}, "guidance.weaker' has the value None: allowed are digits_conditional, weaker"),
    ],
)
def test_what_does_not_fit_is_one_sentence(own, changes, words):
    import yaml

    folder, config = own
    if "kind" in changes.get("sampler", {}):
        config["experiments"]["digits_cfg"]["sampler"] = {}
    config = merge(config, {"experiments": {"digits_cfg": changes}})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = command_line(folder, "plan")
    assert done.returncode == 2
    assert words in done.stderr
    assert "\n" not in done.stderr.strip()
