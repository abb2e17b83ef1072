"""Which code is part of which address: an edit moves what runs it, and what is made from that, and nothing else."""

import ast
import shutil
from pathlib import Path

import pytest
from code_package import changed, digests, edit, kinds, package, papers, planned  # noqa: F401 - fixtures among them
from guidance_study.plan import code
from guidance_study.plan.code import PACKAGE, Code


@pytest.mark.parametrize(
    ("module", "kind", "stages"),
    [
        ("guidance/classifier_free", "classifier_free", {"samples", "trajectories", "cost"}),
        ("datasets/cifar10", "cifar10", {"dataset"}),
        ("networks/song_unet", "song_unet", {"denoiser"}),
        ("networks/modules/residual_mlp", "residual_mlp", {"denoiser", "postprocessor"}),
        ("embeddings/inception", "inception", {"features"}),
        ("figures/samples", "samples", {"figure"}),
        ("metrics/frechet", "frechet", {"measures"}),
        ("processes/samplers/heun", "heun", {"samples"}),
    ],
)
def test_an_edit_of_a_kind_moves_what_names_it_and_what_is_made_from_that(
    planned, package, papers, module, kind, stages
):
    before = planned(papers)
    with (package / f"{module}.py").open("a") as file:
        file.write("\nADDED = 1\n")
    after, now = planned(papers), Code(package)
    importing = {unit for unit in now.units() if module.replace("/", ".") in now.closure(now.module(unit))}
    moved = set()
    for old, new in zip(before, after, strict=True):
        runs = kind in kinds(old.params) and old.stage in stages
        assert runs <= (old.recipe["code"] != new.recipe["code"]) <= bool(importing & old.recipe["code"].keys())
        made_from_moved = any(a.address in moved for a in old.inputs.values())
        assert (old.address != new.address) == (old.recipe["code"] != new.recipe["code"] or made_from_moved)
        moved |= {old.address} if old.address != new.address else set()
    assert {address.split("/")[0] for address in moved} & stages
    assert moved < {a.address for a in before}
    shutil.copy(PACKAGE / f"{module}.py", package / f"{module}.py")
    assert [a.address for a in planned(papers)] == [a.address for a in before]


@pytest.mark.parametrize(
    ("module", "old", "new", "units"),
    [
        ("metrics/frechet", "- 2 * cross", "- 3 * cross", {"stages/measures", "stages/statistics"}),
        ("tables/reporting/images", '"yes"', '"YES"', {"tables/images"}),
        ("training/loop", "1 + math.cos", "2 + math.cos",
         {"stages/denoiser", "stages/classifier", "stages/postprocessor"}),
        # the order of an image folder's classes, and the sum of gradients over processes
        ("sources/rawfolders", "dict(sorted(classes.items()))", "dict(sorted(classes.items(), reverse=True))",
         {"datasets/image_folder"}),
        ("execution/distributed", "flat.split(", "(2 * flat).split(",
         {"stages/denoiser", "stages/classifier", "stages/postprocessor"}),
        ("execution/memory", ") / 1024", ") / 1000", {"stages/cost"}),
        # a word that stands in results, of a file whose code is a matter of the plan
        ("config/experiments", 'EVALUATOR = "evaluator"', 'EVALUATOR = "judge"', {"stages/measures", "tables/images"}),
    ],
)  # fmt: skip
def test_an_edit_of_shared_code_is_one_of_the_units_that_run_it(package, module, old, new, units):
    before = digests(package)
    edit(package / f"{module}.py", old, new)
    found = changed(before, digests(package))
    assert {unit for unit in units if unit.startswith("stages/")} == {u for u in found if u.startswith("stages/")}
    assert units <= found


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("config/experiments", "pool.scales", "(pool.scales)"),
        ("config/base", "is no SHA-256", "is none"),
        ("execution/jobs", "making {address}", "about to make {address}"),
        ("plan/resources", "return", "return 1 *"),
        ("store/artefacts", "is damaged", "has damages"),
        ("commands/plan", "return 0", "return 1 - 1"),
        ("datasets/digits", '"""', '"""In other words. '),
        ("__init__", '__version__ = "', '__version__ = "9.'),
    ],
)
def test_what_touches_no_array_and_no_order_does_not_count(package, module, old, new):
    before = digests(package)
    path = package / f"{module}.py"
    if old in path.read_text():
        path.write_text(path.read_text().replace(old, new, 1))
    assert digests(package) == before


@pytest.mark.parametrize("constant", ["N = {}", "N: int = {}", "M, N = 1, {}", "M = N = {}"])
@pytest.mark.parametrize("reading", ["from guidance_study.config.own import N\n\nHERE = N",
                                     "from guidance_study.config import own\n\nHERE = own.N"])  # fmt: skip
def test_a_constant_of_a_file_that_does_not_count_counts_where_it_is_read(package, constant, reading):
    with (package / "guidance/classifier.py").open("a") as file:
        file.write(f"\n{reading}\n")
    own = package / "config/own.py"
    own.write_text(constant.format(2) + "\nOTHER = 1\n")
    before = digests(package)
    own.write_text(constant.format(2) + "\nOTHER = 2\n")
    assert digests(package) == before
    own.write_text(constant.format(3) + "\nOTHER = 2\n")
    assert changed(before, digests(package)) == {"guidance/classifier"}


def test_no_result_comes_through_the_plan_or_the_store():
    now = Code()
    reached = {module for unit in now.units() for module in now.closure(now.module(unit))}
    assert {m for m in reached if m.split(".")[0] in ("plan", "store", "config", "commands")} == {"store", "store.rows"}


def test_what_reaches_a_network_from_its_keys_counts(package):
    before = digests(package)
    edit(package / "networks/__init__.py", "getattr(self, name)", "2 * getattr(self, name)")
    assert {f"networks/{kind}" for kind in ("cnn", "mlp", "unet")} < changed(before, digests(package))


@pytest.mark.parametrize("page", ["__init__.py", "training/__init__.py", "support/__init__.py"])
def test_the_pages_of_packages_count_since_an_import_runs_them(package, page):
    now, before = Code(package), digests(package)
    home = str(Path(page).parent).strip(".")
    inside = {unit for unit in now.units() if any(m.startswith(home) for m in now.closure(now.module(unit)))}
    with (package / page).open("a") as file:
        file.write("\nimport torch\n\ntorch.set_default_dtype(torch.float64)\n")
    assert changed(before, digests(package)) == inside > set()


def test_a_reformatted_package_is_the_same(package):
    before = digests(package)
    for path in package.rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text())))
    assert digests(package) == before


def test_a_renamed_file_and_a_moved_one_are_the_same(package):
    before = digests(package)
    (package / "guidance" / "classifier_free.py").rename(package / "guidance" / "cfg.py")
    (package / "support" / "randomness.py").rename(package / "sampling.py")
    for path in package.rglob("*.py"):
        path.write_text(path.read_text().replace("guidance_study.support.randomness", "guidance_study.sampling"))
    assert digests(package) == before


def test_a_relative_import_counts_as_an_absolute_one(package):
    before = digests(package)
    edit(package / "guidance" / "classifier_free.py", "class ", "from .shared import N\n\n\nclass ")
    (package / "guidance" / "shared.py").write_text("N = 1\n")
    one = digests(package)
    assert changed(before, one) == {"guidance/classifier_free"}
    (package / "guidance" / "shared.py").write_text("N = 2\n")
    assert changed(one, digests(package)) == {"guidance/classifier_free"}


def test_two_versions_of_a_rule_stand_side_by_side(planned, package, parsed):
    """A copy under a kind of its own moves nothing."""
    before = planned(parsed())
    text = (package / "guidance" / "classifier_free.py").read_text()
    (package / "guidance" / "mine.py").write_text(text.replace('"classifier_free"', '"mine"'))
    assert [a.address for a in planned(parsed())] == [a.address for a in before]
    assert Code(package).digest("guidance/mine") != Code(package).digest("guidance/classifier_free")


def test_declared_the_same_it_keeps_its_revision_and_an_undone_edit_needs_no_word(planned, package, parsed):
    before, original = planned(parsed()), Code(package)
    path = package / "guidance" / "classifier_free.py"
    edit(path, "label, batch.scale", "label, 1 * batch.scale")
    assert [a.address for a in planned(parsed())] != [a.address for a in before]
    code.record(Code(package), original, ["guidance/classifier_free"])
    assert [a.address for a in planned(parsed())] == [a.address for a in before]
    edit(path, "1 * batch", "2 * batch")
    assert Code(package).revision("guidance/classifier_free") == Code(package).digest("guidance/classifier_free")
    shutil.copy(PACKAGE / "guidance" / "classifier_free.py", path)
    assert [a.address for a in planned(parsed())] == [a.address for a in before]
