"""A researcher edits, runs one table, edits again, undoes: right numbers each time, nothing else computed, no flag.

Exact parts alone, so that nothing is trained and numbers have a truth: a copy of classifier-free guidance whose scale
is changed in its code must give what the original gives at that scale.
"""

import csv
import json
import re
import subprocess
from pathlib import Path

import pytest
from conftest import command_line, environment, snakemake_command
from filled_store import rewrite

pytestmark = pytest.mark.slow

RULES, WORDS = "workflow/guidance_study/guidance", "workflow/guidance_study/tables/trajectories.py"


def entry(runs: dict) -> dict:
    return {
        "dataset": "gauss_far", "process": "ddpm_v", "parts": {}, "sampler": {"kind": "ddim", "steps": 5}, "n": 40,
        "runs": {"exact": {"eps": "exact", "guidance": {"kind": "classifier_free"}, "scales": [1]}} | runs,
    }  # fmt: skip


@pytest.fixture
def study(project, default) -> Path:
    """Two tables: of classifier-free guidance at the scales 1, 2 and 3, and of a copy of the rule at scale 2."""
    own = {"mine": {"eps": "exact", "guidance": {"kind": "mine"}, "scales": [2]}}
    free = {"free": {"eps": "exact", "guidance": {"kind": "classifier_free"}, "scales": [1, 2, 3]}}
    table = {"kind": "trajectories", "title": "A story", "metrics": ["boundary", "bend"]}
    tables = {"table_free": table | {"trajectories": ["free"], "runs": ["free"]}}
    tables["table_mine"] = table | {"trajectories": ["mine"], "runs": ["mine"]}
    config = default | {"trajectories": {"free": entry(free), "mine": entry(own)}, "tables": tables, "figures": {}}
    config |= {"experiments": {}, "all": list(tables)}
    folder = project(config)
    text = (folder / RULES / "classifier_free.py").read_text()
    (folder / RULES / "mine.py").write_text(text.replace('"classifier_free"', '"mine"'))
    return folder


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def run(folder: Path, *targets: str) -> dict[str, int]:
    """Make targets in one process; stage -> artefacts that were made."""
    done = command_line(folder, "run", *targets)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr.lower()
    made = re.findall(r"^making (\w+)/", done.stderr, flags=re.M)
    return {stage: made.count(stage) for stage in made}


def numbers(folder: Path, table: str) -> dict[float, list[str]]:
    """Scale -> the numbers of a table at it."""
    with (folder / "results" / "tables" / f"{table}.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {float(row["scale"]): [r["value"] for r in rows if r["scale"] == row["scale"]] for row in rows}


def test_edit_run_edit_run_undo(study):
    mine = study / RULES / "mine.py"
    run(study)
    free = numbers(study, "table_free")
    assert len({tuple(values) for values in free.values()}) == 3
    assert numbers(study, "table_mine")[2] == free[2]
    assert run(study) == {}
    edit(mine, "batch.scale", "(batch.scale + 1)")
    made = run(study, "table_mine")
    assert made == {"trajectories": 1, "measures": 1, "table": 1}
    assert numbers(study, "table_mine")[2] == free[3]
    edit(mine, "(batch.scale + 1)", "(batch.scale - 1)")
    assert run(study) == made
    assert numbers(study, "table_mine")[2] == free[1]
    edit(mine, "(batch.scale - 1)", "batch.scale")
    assert run(study) == {}
    assert numbers(study, "table_mine")[2] == free[2]
    mine.write_text(f"# a comment\n{mine.read_text()}")
    edit(study / RULES / "classifier.py", "\nclass ", "\nADDED = 1\n\n\nclass ")
    assert run(study) == {}


def test_an_edited_metric_dataset_and_wording_move_their_own(study):
    run(study)
    package = study / "workflow" / "guidance_study"
    edit(package / "networks" / "residual_mlp.py", "\nclass ", "\nADDED = 1\n\n\nclass ")  # no table needs one
    assert run(study) == {}
    edit(study / WORDS, "framed(", "framed(*[], ")
    assert run(study) == {"table": 2}
    edit(package / "metrics" / "bend.py", "\nclass ", "\nADDED = 1\n\n\nclass ")
    assert run(study, "table_mine") == {"measures": 1, "table": 1}
    edit(package / "datasets" / "gaussians.py", "\nclass ", "\nADDED = 1\n\n\nclass ")
    assert run(study, "table_mine") == {"dataset": 1, "trajectories": 1, "measures": 1, "table": 1}


def snakemake(folder: Path, *arguments: str) -> str:
    done = subprocess.run(snakemake_command(*arguments), cwd=folder, env=environment(), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(folder: Path, stage: str) -> dict[str, dict]:
    found = (folder / "results" / stage).glob("*/manifest.json")
    return {path.parent.name: json.loads(path.read_text()) for path in found}


def test_forced_with_the_same_bytes_nothing_is_stale_with_others_everything_below(study):
    snakemake(study)
    before = files(study, "measures")
    assert "stale" not in snakemake(study, "--forcerun", "trajectories")
    assert files(study, "measures") == before
    stage = study / "workflow" / "guidance_study" / "stages" / "trajectories.py"
    text = stage.read_text()
    assert "np.save" in text
    # the same address with other bytes, as another machine's rounding gives them
    stage.write_text(text.replace("np.save(", "(lambda path, a: np.save(path, a * (1 + 2**-20)))(", 1))
    (unit, revision, digest) = ("stages/trajectories", *revisions(study, stage, text))
    (study / "workflow" / "same_code.tsv").write_text(f"{unit}\t{digest}\t{revision}\n")
    assert "Nothing to be done" in snakemake(study)
    said = snakemake(study, "--forcerun", "trajectories")
    for name in before:
        assert f"stale: 'measures/{name}': it was made from other bytes of 'trajectories/" in said
    assert len(re.findall(r"^stale: 'table/", said, flags=re.M)) == 2
    after = files(study, "measures")
    assert after.keys() == before.keys()
    assert all(after[name]["inputs"] != before[name]["inputs"] for name in before)
    assert command_line(study, "verify").returncode == 0
    assert "Nothing to be done" in snakemake(study)
    assert "stale" not in snakemake(study, "-n")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below results, hidden ones too."""
    return {str(p): p.read_bytes() for p in (folder / "results").rglob("*") if p.is_file()}


def test_only_a_run_that_makes_something_sets_stale_artefacts_aside(study):
    run(study)
    for path in (study / "results" / "measures").glob("*/manifest.json"):
        rewrite(path, lambda manifest: manifest.update(inputs=dict.fromkeys(manifest["inputs"], "0" * 64)))
    before = contents(study)
    assert len(re.findall(r"^stale: 'table/", snakemake(study, "-n"), flags=re.M)) == 2
    for mode in ("--summary", "--list-rules", "--unlock"):
        assert "set aside" not in snakemake(study, mode), mode
    assert contents(study) == before
    assert "set aside" not in snakemake(study, "--touch")
    assert not (study / "results" / ".stale").exists()
    assert len(re.findall(r"^stale: 'table/.*set aside", snakemake(study), flags=re.M)) == 2
    assert "stale" not in snakemake(study, "-n")


def revisions(folder: Path, stage: Path, text: str) -> tuple[str, str]:
    """The digests of stages/trajectories with a file's text of before, and as it is now."""
    from guidance_study.plan.code import Code

    now, package = stage.read_text(), folder / "workflow" / "guidance_study"
    stage.write_text(text)
    before = Code(package).digest("stages/trajectories")
    stage.write_text(now)
    return before, Code(package).digest("stages/trajectories")
