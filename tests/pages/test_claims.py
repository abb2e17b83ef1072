"""Verdicts on the claims: planted truths, falsehoods and nulls; numbers of earlier runs; claims that are not run."""

import json
from functools import reduce

import numpy as np
import pytest
from guidance_study.config.loading import ConfigError
from guidance_study.execution.job import Input, Job
from guidance_study.pages.claims import ClaimsPage, statistic
from guidance_study.pages.writing.board import board
from guidance_study.pages.writing.report import answers
from guidance_study.pages.writing.verdicts import verdicts
from guidance_study.plan.plan import Plan
from guidance_study.tables.asking import Contrast
from guidance_study.tables.reporting.contrasts import Asked

GROWS = {"question": "Does it grow?", "of": "gauss_mid", "metric": "boundary", "left": {"run": "exact", "scales": [2]},
         "right": {"run": "exact", "scales": [1]}, "expects": "above"}  # fmt: skip
EQUAL = GROWS | {"expects": "equal", "within": 0.1}


def parts(*given: dict) -> list[Contrast]:
    return [Contrast.model_validate(part) for part in given]


def numbers(source: np.random.Generator, mean: float, n: int = 10, spread: float = 0.1) -> Asked:
    return Asked(dict(enumerate(source.normal(mean, spread, n), 3)))


def words(*claims) -> list[str]:
    return [verdict.word for verdict in verdicts(list(claims))]


def test_a_conjunction_holds_where_all_parts_do_and_fails_where_one_is_the_opposite():
    source = np.random.default_rng(0)
    two, up, down, null = parts(GROWS, GROWS), numbers(source, 1), numbers(source, -1), numbers(source, 0, spread=1)
    assert words((two, [up, up]), (two, [up, down]), (two, [up, null]), ([], [])) == [
        "holds", "does not hold", "undecided", "not run",
    ]  # fmt: skip
    assert words((parts(EQUAL), [numbers(source, 0, spread=0.02)]), (parts(EQUAL), [up])) == ["holds", "does not hold"]


def test_an_undecided_claim_says_what_could_have_been_seen_or_what_is_wrong():
    source = np.random.default_rng(1)
    (found,) = verdicts([(parts(GROWS), [numbers(source, 0, spread=1)])])
    assert "10 seeds see an effect of" in found.why
    (found,) = verdicts([(parts(GROWS), [Asked({}, "seed 4 has no finite number")])])
    assert (found.word, found.why) == ("undecided", "seed 4 has no finite number")
    (found,) = verdicts([(parts(GROWS), [Asked({3: 1.0})])])
    assert (found.word, found.why) == ("undecided", "one seed: not decided")


@pytest.mark.parametrize("n", [5, 10])
def test_of_boards_of_nulls_hardly_any_has_a_claim_that_is_decided(monkeypatch, n):
    """29 claims of one to three parts, none of them true or false: Holm holds the error of the whole board."""
    monkeypatch.setattr("guidance_study.pages.writing.verdicts.undecided", lambda *_: "")  # slow, and not asked for
    source = np.random.default_rng(n)
    wrong = 0
    for _ in range(200):
        claims = []
        for k in range(29):
            some = parts(*[GROWS] * (1 + k % 3))
            claims.append((some, [numbers(source, 0, n) for _ in some]))
        wrong += any(word in ("holds", "does not hold") for word in words(*claims))
    assert wrong <= 200 * 0.05 + 3 * (200 * 0.05 * 0.95) ** 0.5  # of 200 boards, and their own noise


def run_of(folder, study, seeds: dict[int, tuple[float, float]], **changes):
    """The board of a study whose measures say (distance at scale 1, at scale 2) of each seed."""
    page = ClaimsPage.model_validate({"kind": "claims", "title": "Board", **changes})
    inputs, sources = {}, []
    for seed, values in seeds.items():
        where = folder / str(seed)
        where.mkdir(parents=True)
        rows = [
            {"state": None, "arm": None, "run": "exact", "scale": scale, "repeat": None, "metric": "boundary",
             "space": None, "reference": None, "label": None, "value": value}
            for scale, value in zip((1.0, 2.0), values, strict=True)
        ]  # fmt: skip
        (where / "measures.json").write_text(json.dumps({"rows": rows, "n": 1, "real": {}}))
        inputs[str(seed)] = Input(where, {"params": {"metrics": []}})
        sources.append({"role": str(seed), "of": "gauss_mid", "reference_run": "exact", "seed": seed})
    params = {"sources": sources, "seeds": list(seeds), "shown": ["fig_3"], "name": "board"}
    params["lacking"] = [f"needs {claim.needs}" for claim in page.claims]
    return board(page, Job(params, inputs, folder, folder))


CLAIMS = [
    {"claim": "It grows", "section": "3", "parts": [GROWS], "evidence": ["fig_3", "fig_9"]},
    {"claim": "It needs <much>", "section": "4", "needs": "a GPU"},
]


def test_the_board_says_verdict_numbers_and_what_is_needed(tmp_path):
    source = np.random.default_rng(2)
    seeds = {seed: (1.0, 1.5 + 0.01 * source.normal()) for seed in range(3, 8)}
    written = run_of(tmp_path, None, seeds, claims=CLAIMS, reference=[])
    grows, needs = written.data["claims"]
    assert (grows["verdict"], needs["verdict"], needs["why"]) == ("holds", "not run", "needs a GPU")
    assert grows["parts"][0]["deciding"]["n"] == 5
    assert grows["parts"][0]["run"]["numbers"].keys() == set(range(3, 8))
    assert grows["evidence"] == ["fig_3"]
    assert "It needs &lt;much&gt;" in written.html
    assert "<much>" not in written.html
    assert "holds" in written.markdown


def test_earlier_numbers_decide_and_this_run_stands_beside(tmp_path):
    (part,) = parts(GROWS)
    earlier = [{"statistic": statistic(part), "numbers": {str(s): -1 - 0.01 * s for s in range(13)}}]
    written = run_of(tmp_path, None, {0: (1.0, 1.5)}, claims=CLAIMS, reference=earlier)
    found = written.data["claims"][0]
    assert found["verdict"] == "does not hold"
    assert found["parts"][0]["deciding"]["n"] == 10  # seeds 0 to 2 were pilots
    assert found["parts"][0]["run"]["mean"] == 0.5
    other = [{"statistic": statistic(part).replace("boundary", "bend"), "numbers": {"3": 1.0, "4": 1.0}}]
    written = run_of(tmp_path / "other", None, {0: (1.0, 1.5)}, claims=CLAIMS, reference=other)
    found = written.data["claims"][0]  # of another statistic: this run alone, and its seed was a pilot
    assert (found["verdict"], found["why"]) == ("undecided", "this run's seeds were pilots and decide nothing")


def test_a_question_may_change_its_words_and_its_threshold_but_not_its_statistic():
    one, other = parts(GROWS, GROWS | {"question": "Again?", "threshold": 2.0})
    assert statistic(one) == statistic(other)
    assert statistic(one) != statistic(parts(GROWS | {"metric": "bend"})[0])


def test_the_papers_claims_are_planned_where_the_study_declares_what_they_look_at(parsed):
    from conftest import TOP, merge
    from guidance_study.config.loading import read

    default = parsed()
    page = default.pages["claims"]
    assert len(page.claims) == 29
    declared = [claim.lacks(default) is None for claim in page.claims]
    overlays = [read(TOP / "config" / f"{name}.yaml") for name in ("controls", "controls_classifier", "mnist_laptop")]
    everything = parsed(reduce(merge, overlays))
    assert [claim.lacks(everything) is None for claim in page.claims] == [bool(claim.parts) for claim in page.claims]
    assert 8 <= sum(declared) < 29
    target = Plan(parsed({"seeds": list(range(7))})).targets["claims"]
    assert {source["seed"] for source in target.params["sources"]} == set(range(7))


def test_a_page_may_look_at_some_experiments_alone(parsed):
    study = parsed({"pages": {"claims": {"of": ["fractal_c_cfg"]}}})
    sources = Plan(study).targets["claims"].params["sources"]
    assert {source["of"] for source in sources} == {"fractal_c_cfg"}
    with pytest.raises(ConfigError, match=r"'pages.claims.of' has the value 'mnist'.*allowed are .*fractal_c_cfg"):
        parsed({"pages": {"claims": {"of": ["mnist"]}}})


def test_a_study_that_asks_for_less_has_fewer_claims_and_says_why(parsed):
    """The paper's claims are of config.yaml's experiments; an overlay may leave an arm or a scale of them out."""
    arm = {"space": "points", "k": 20, "postprocessor": "fractal", "train_on": "own_scale"}
    less = parsed(
        {"experiments": {"fractal_c_cfg": {"arms": [arm]}}, "figures": {"fig_s1": {"arms": ["points_k20_own"]}}}
    )
    (lacking,) = [said for said in Plan(less).targets["claims"].params["lacking"] if said and "points_k20" in said]
    assert "allowed are points_k20_own" in lacking


def test_mistakes_in_claims_are_sentences(parsed):
    def page(**changes):
        return {"pages": {"claims": {"kind": "claims", "title": "t", "claims": [CLAIMS[0] | changes]}}}

    for changes, said in (
        ({"parts": [GROWS | {"metric": "sharpness"}]}, "pages.claims.claims.0..parts.0. .metric.*sharpness"),
        ({"parts": []}, "says what it 'needs'"),
        ({"parts": [GROWS | {"left": {"run": "nobody"}}]}, "nobody.*allowed are"),
    ):
        with pytest.raises(ConfigError, match=said):
            parsed(page(**changes))
    with pytest.raises(ConfigError, match="twice"):
        parsed({"pages": {"claims": {"kind": "claims", "title": "t", "claims": [CLAIMS[0], CLAIMS[0]]}}})
    with pytest.raises(ConfigError, match="'readme' in 'pages' is taken"):
        parsed({"pages": {"readme": {"kind": "claims", "title": "t"}}})
    with pytest.raises(ConfigError, match="'table_1' is used twice, for a table and a page"):
        parsed({"pages": {"table_1": {"kind": "claims", "title": "t"}}})


def test_a_run_is_compared_with_the_shipped_numbers_of_its_seeds(tmp_path, capsys):
    from guidance_study.__main__ import main

    (part,) = parts(GROWS)
    written = run_of(tmp_path, None, {0: (1.0, 1.5), 5: (1.0, 1.4)}, claims=CLAIMS, reference=[])
    (tmp_path / "claims.json").write_text(json.dumps(written.data))
    reference = tmp_path / "reference.json"

    def compared(**numbers: float) -> tuple[int, str]:
        shipped = {"numbers": [{"statistic": statistic(part), "numbers": numbers}]}
        reference.write_text(json.dumps(shipped))
        status = main(["check", "--results", str(tmp_path), "--reference", str(reference)])
        return status, "".join(capsys.readouterr())

    assert compared(**{"0": 0.52})[0] == 0
    status, said = compared(**{"0": 0.52, "5": 0.9})
    assert status == 1
    assert "apart" in said
    assert "claim 1, seed 5: Does it grow?" in said
    assert compared(**{"7": 1.0})[0] == 2


@pytest.mark.parametrize(
    ("claims", "reference", "said"),
    [
        ("- {claim: [", "{}", "claims.yaml.*is not valid YAML"),
        ("claim: x", "{}", "must hold a list, not dict"),
        ("- {claim: x, section: y, needs: z, colour: red}", "{}", "pages.claims.claims.0..colour"),
        ("- {claim: x, section: y, needs: z, parts: [{question: q}]}", "{}", "pages.claims.claims.0..parts"),
        ("- {claim: x, section: y, needs: z}", "{", "claims.json.*is damaged"),
        ("- {claim: x, section: y, needs: z}", '{"numbers": [{"statistic": "s", "numbers": {"0": "a"}}]}', "number"),
        ("- {claim: x, section: y, needs: z}", '{"numbers": 3}', "reference.*list"),
    ],
)
def test_files_that_the_board_is_made_from_are_read_by_their_doors(
    parsed, tmp_path, monkeypatch, claims, reference, said
):
    from guidance_study.pages import claims as module
    from guidance_study.support.errors import StudyError

    for name, text in (("CLAIMS", claims), ("REFERENCE", reference)):
        path = tmp_path / {"CLAIMS": "claims.yaml", "REFERENCE": "claims.json"}[name]
        path.write_text(text)
        monkeypatch.setattr(module, name, path)
    with pytest.raises(StudyError, match=said) as caught:
        parsed()
    assert "\n" not in str(caught.value)


def test_an_answer_says_of_what_it_was_asked():
    """No of one guidance is not no of every guidance."""
    claim = {"number": 1, "answers": "why", "verdict": "does not hold", "scope": "classifier-free guidance"}
    (one,) = answers([claim, claim | {"number": 2}])
    assert one["answer"] == "No, for classifier-free guidance"
    (one,) = answers([claim, claim | {"number": 2, "scope": None}])
    assert one["answer"] == "No"
    other = {"number": 3, "scope": "classifier guidance"}
    free, with_classifier = answers([claim, claim | other, claim | other | {"number": 4, "verdict": "holds"}])
    assert (free["answer"], free["claims"]) == ("No, for classifier-free guidance", "does not hold: 1")
    assert with_classifier["answer"] == "Not decided as a whole, for classifier guidance"
    assert with_classifier["claims"] == "does not hold: 3; holds: 4"


def test_a_claim_of_one_guidance_is_asked_of_no_other():
    from conftest import TOP
    from guidance_study.config.loading import load

    over = [TOP / "config" / f"{name}.yaml" for name in ("mnist_laptop", "mnist_seeds", "mnist_classifier")]
    study, of = load([TOP / "config.yaml", *over[:2]]), ["mnist_scales", "mnist_controls"]
    asked = [claim for claim in study.pages["claims"].claims if claim.lacks(study, of) is None]
    assert [claim.claim for claim in asked] == ["Fidelity improves on MNIST"]
    other = load([TOP / "config.yaml", *over])
    assert asked[0].lacks(other, of) == (
        "claim.guidance has the value 'classifier_free': experiment 'mnist_controls' has 'classifier'"
    )


def test_a_studys_own_claim_of_another_guidance_is_refused(parsed):
    part = {"question": "Does it?", "of": "digits_cg", "metric": "margin", "left": {"scales": [1]}, "expects": "above"}
    claim = {"claim": "It grows", "section": "3", "parts": [part], "guidance": "classifier_free"}
    for guidance, said in (("classifier_free", "experiment 'digits_cg' has 'classifier'"), ("free", "guidance")):
        with pytest.raises(ConfigError, match=said):
            parsed({"pages": {"claims": {"claims": [claim | {"guidance": guidance}]}}})


def test_the_board_says_of_what_a_claim_was_asked(tmp_path):
    page = ClaimsPage.model_validate({"kind": "claims", "title": "Board"})
    said = {"sources": [], "seeds": [0], "shown": [], "name": "claims", "lacking": ["needs a run"] * len(page.claims)}
    written = board(page, Job(said, {}, tmp_path, tmp_path))
    scoped = [claim for claim in page.claims if claim.guidance]
    assert scoped
    assert {claim.scope for claim in scoped} == {"classifier-free guidance", "classifier guidance"}
    for scope in ("classifier-free guidance", "classifier guidance"):
        number = sum(claim.scope == scope for claim in scoped)
        assert written.html.count(f"; asked of {scope})") == number
    for claim in scoped:
        assert f"| {claim.claim} ({claim.scope}) |" in written.markdown
