"""What README says of the claims follows from the shipped numbers, by today's rules."""

import re
import sys

from conftest import TOP
from guidance_study.execution.job import Job
from guidance_study.pages.claims import REFERENCE, ClaimsPage, statistic
from guidance_study.pages.writing.board import board

sys.path.insert(0, str(TOP / "docs"))
import update


def shipped(tmp_path) -> tuple[ClaimsPage, list[dict]]:
    """The board without any run of its own."""
    page = ClaimsPage.model_validate({"kind": "claims", "title": "Board"})
    said = {"sources": [], "seeds": [0], "shown": [], "name": "claims", "lacking": ["needs a run"] * len(page.claims)}
    return page, board(page, Job(said, {}, tmp_path, tmp_path)).data["claims"]


def test_readme_shows_the_verdicts_that_the_shipped_numbers_give(tmp_path):
    _, claims = shipped(tmp_path)
    (shown,) = re.findall(r"<!-- board -->\n(.*?)\n<!-- /board -->", (TOP / "README.md").read_text(), re.DOTALL)
    assert shown == update.short(claims)
    verdicts = dict(re.findall(r"^\| (\d+) \| .*? \| \*\*(.*?)\*\* \|", shown, re.MULTILINE))
    page = (TOP / "docs" / "results.md").read_text()
    for number, verdict in verdicts.items():
        assert re.search(rf"^\| {number} \| [^|]* \| [^|]* \| {verdict}", page, re.MULTILINE), number


def test_every_shipped_number_is_of_a_claim_and_of_enough_seeds(tmp_path):
    import json

    page, claims = shipped(tmp_path)
    asked = {statistic(part): claim for claim in page.claims for part in claim.parts}
    numbers = {entry["statistic"]: entry["numbers"] for entry in json.loads(REFERENCE.read_text())["numbers"]}
    assert numbers.keys() == asked.keys()
    for said, claim in asked.items():
        deciding = [seed for seed in numbers[said] if int(seed) not in page.pilots]
        assert len(deciding) == (claim.seeds or 10)
    run = [claim["number"] for claim in claims if claim["verdict"] != "not run"]
    assert run == [number for number, claim in enumerate(page.claims, 1) if claim.parts]
