"""`explain`: what lies behind a table, by its name, its path or its address."""

import pytest
from filled_store import fill, rewrite
from guidance_study.plan.plan import Plan
from guidance_study.store.lineage import lineage
from guidance_study.store.publishing import publish_all
from guidance_study.support.errors import StudyError


@pytest.fixture
def results(parsed, tmp_path):
    """A store with table_digits, published, and all behind it."""
    plan = Plan(parsed())
    fill(tmp_path / "results", plan.ancestors(["table_digits"]))
    publish_all(plan, tmp_path / "results")
    return tmp_path / "results"


def test_a_name_a_path_and_an_address_say_the_same(results, parsed):
    address = Plan(parsed()).targets["table_digits"].address
    paths = [results / "tables" / "table_digits.csv", results / address, results / address / "table.md"]
    by_name = list(lineage("table_digits", results))
    assert by_name[0] == address
    for named in (address, f"{address}/table.md", *map(str, paths)):
        assert list(lineage(named, results)) == by_name


def test_artefacts_from_before_recipes_named_code_are_explained(results):
    for path in results.glob("*/*/manifest.json"):
        rewrite(path, lambda manifest: manifest["recipe"].pop("code"))
    address = next(results.glob("table/table_digits-*")).relative_to(results).as_posix()
    said = list(lineage(address, results))
    assert said[:2] == [address, "  stage    table"]
    assert not any(line.startswith("  code ") for line in said)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("table_digits_nn", "'table_digits_nn' is no table or figure that was made in"),
        ("config.yaml", "'config.yaml' is no table or figure that was made in"),
        ("tables/none.csv", "does not lie below it; make it first, or name another folder with --results"),
        ("table/table_digits-0", "'table/table_digits-0' has no manifest: it was not made by this pipeline"),
        ("table", "'table' belongs to no artefact; name a table, figure or page, or something below a stage's folder"),
    ],
)
def test_what_is_none_of_these_is_named(results, named, said):
    with pytest.raises(StudyError, match=said):
        list(lineage(named, results))
