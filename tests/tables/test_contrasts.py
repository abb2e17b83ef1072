"""Questions of a table of contrasts, asked of worlds whose answer was planted."""

import numpy as np
import pandas as pd
import pytest
from guidance_study.tables.asking import Contrast
from guidance_study.tables.reporting.contrasts import answered, lines


def rows(effect: float, seeds: int, spread: float = 0.05) -> pd.DataFrame:
    """Measures of an experiment: the margin grows by `effect` a scale, with noise that a seed's scales share."""
    source = np.random.default_rng(seeds)
    found = []
    for seed in range(seeds):
        shared = source.normal()  # as both sides of a contrast share their noises
        for scale in (1.0, 2.0, 3.0):
            for repeat in (0, 1):
                value = 2 + shared + effect * scale + spread * source.normal()
                said = {"of": "digits", "seed": seed, "metric": "margin", "scale": scale, "repeat": repeat,
                        "space": "evaluator", "reference": None, "label": None}  # fmt: skip
                found.append(said | {"state": "before", "arm": None, "value": value})
                found.append(said | {"state": "after", "arm": "a", "value": value * np.exp(effect)})
    return pd.DataFrame(found).assign(run=None, reference_run=None)


GROWS = Contrast.model_validate(
    {"question": "Does it grow?", "of": "digits", "metric": "margin", "left": {"scales": [3]}, "right": {"scales": [1]},
     "expects": "above"}
)  # fmt: skip
EQUAL = Contrast.model_validate(
    {"question": "Is it equal?", "of": "digits", "metric": "margin", "left": {"arm": "a"}, "right": {"state": "before"},
     "value": "log_ratio", "expects": "equal", "within": 0.1}
)  # fmt: skip


@pytest.mark.parametrize(("effect", "answer"), [(0.5, "holds"), (-0.5, "does not hold")])
def test_a_planted_effect_is_the_answer_and_its_opposite_the_opposite(effect, answer):
    found = answered(rows(effect, 5), [GROWS], None).iloc[0]
    assert found["decided"] == answer
    assert found["mean"] == pytest.approx(2 * effect, abs=0.15)
    assert found["low"] < found["mean"] < found["high"]
    assert found["answer"] == ("yes" if effect > 0 else "no: the opposite")
    told = [float(one.split(": ")[1]) for one in found["by_seed"].split("; ")]
    assert sum(told) / len(told) == pytest.approx(found["mean"], rel=1e-4)


def test_a_null_is_undecided_and_says_what_could_have_been_seen():
    found = answered(rows(0.0, 5), [GROWS], None).iloc[0]
    assert found["decided"] == "undecided"
    assert "cannot be decided at this budget: 5 seeds see an effect of" in found["answer"]


def test_equality_is_shown_by_equivalence_and_not_by_the_absence_of_a_difference():
    assert answered(rows(0.0, 5), [EQUAL], None).iloc[0]["decided"] == "holds"
    assert answered(rows(0.3, 5), [EQUAL], None).iloc[0]["decided"] == "does not hold"


def test_one_seed_decides_nothing():
    found = answered(rows(0.5, 1), [GROWS], None)
    assert found.iloc[0]["answer"] == "one seed: not decided"
    assert lines(found)[0]["95 % interval"] == "-"


def test_a_large_family_asks_for_more():
    few = rows(0.05, 5, spread=0.1)
    assert answered(few, [GROWS], 200).iloc[0]["p_holm"] == pytest.approx(
        min(1, 200 * answered(few, [GROWS], 1).iloc[0]["p"])
    )


def test_a_difference_of_differences_takes_the_control_away():
    both = Contrast.model_validate(
        GROWS.plain() | {"beside": [{"scales": [3.0]}, {"scales": [1.0]}], "question": "More than itself?"}
    )
    assert answered(rows(0.5, 5), [both], None).iloc[0]["mean"] == pytest.approx(0, abs=1e-12)


def test_a_seed_without_a_number_is_said_and_not_left_out():
    """Seeds that are lost are seldom lost by chance: what is left would be chosen by its answer."""
    whole = rows(0.5, 5)
    broken = whole.copy()
    broken.loc[(broken["seed"] == 3) & (broken["scale"] == 3.0) & (broken["repeat"] == 1), "value"] = np.nan
    gone = whole[(whole["seed"] != 2) | (whole["scale"] != 1.0)]
    for measured, said in ((broken, "seed 3 has no finite number"), (gone, "nothing is measured of seed 2")):
        found = answered(measured, [GROWS], None).iloc[0]
        assert (found["answer"], found["decided"], found["seeds"]) == (f"not answered: {said}", "undecided", 0)
    below = whole.assign(value=np.where(whole["seed"] == 1, 0.0, whole["value"]))
    assert "has no logarithm" in answered(below, [EQUAL], None).iloc[0]["answer"]
    assert lines(answered(broken, [GROWS], None))[0]["Mean"] == "-"


def test_sides_are_compared_in_one_space_and_against_one_part_of_the_real_data():
    """Held-out images stand beside training ones alone: generations too, then, and a null stays a null."""
    null = rows(0.0, 5)
    near, far = null.assign(reference="train"), null.assign(reference="held_out", value=null["value"] + 1)
    real = null[null["state"] == "before"].assign(state="real", reference="train")
    measured = pd.concat([near, far, real], ignore_index=True)
    ask = GROWS.plain() | {"left": {"state": "before"}, "right": {"state": "real"}}
    assert answered(measured, [Contrast.model_validate(ask)], None).iloc[0]["mean"] == pytest.approx(0, abs=1e-12)
    apart = pd.concat([null.assign(space="a"), real.assign(space="b", reference=None)], ignore_index=True)
    said = answered(apart, [Contrast.model_validate(ask)], None).iloc[0]["answer"]
    assert said == "not answered: its sides share no space"


def test_holm_counts_the_answer_no_of_an_equality_too():
    measured = rows(0.13, 5)  # log ratio 0.13, not within 0.1: told so by one test, hardly by one of a thousand
    alone, many = (answered(measured.assign(value=measured["value"]), [EQUAL], n).iloc[0] for n in (1, 10**9))
    assert alone["decided"] == "does not hold"
    assert many["p_holm"] >= alone["p_holm"]


GOOD = {"question": "q", "of": "digits_cfg", "metric": "margin", "left": {"scales": [2.5]}, "expects": "above"}
MISTAKES = [
    ({"of": "nothing"}, "allowed are"),
    ({"metric": "sharpness"}, "allowed are"),
    ({"metric": "displacement"}, "metric displacement.*allowed are after, real_after"),
    ({"space": "moon"}, "allowed are None, evaluator"),
    ({"metric": "frechet", "space": "moon"}, "allowed are None, evaluator"),
    ({"metric": "off_support", "space": "evaluator"}, "allowed are None"),
    ({"reference": "train"}, "compares with no part"),
    ({"metric": "frechet", "reference": "held_out", "right": {"state": "real"}}, "of held-out images itself"),
    ({"left": {"arm": "no_arm"}}, "allowed are pixels_k20"),
    ({"left": {"state": "after"}}, "needs an arm"),
    ({"left": {"state": "before", "arm": "features_k20"}}, "is of no arm"),
    ({"left": {"run": "exact"}}, "has arms"),
    ({"left": {"run": "exact", "state": "before"}}, "neither a state nor an arm"),
    ({"left": {"state": "redraw"}}, "state, of metric margin"),
    ({"left": {"metric": "sharpness"}}, "allowed are"),
    ({"left": {"state": "real_after", "arm": "features_k20"}}, "evaluation.real"),
    ({"right": {"scales": [9]}}, "allowed are 2.25"),
    ({"expects": "equal"}, "how near to 0"),
    ({"within": 0.1}, "how near to 0"),
    ({"expects": "equal", "within": 0.1, "threshold": 1.0}, "threshold has the value 1"),
    ({"value": "log_ratio"}, "needs a right side"),
    ({"beside": [{"scales": [2.5]}, {"scales": [2.25]}]}, "as many sides"),
    ({"of": "gauss_mid", "metric": "boundary", "left": {"scales": [1]}}, "\\(run\\)' has the value None"),
    ({"of": "gauss_mid", "metric": "boundary", "left": {"run": "exact"}, "space": "evaluator"}, "allowed are None"),
    ({"of": "gauss_mid", "metric": "margin", "left": {"run": "exact"}}, "allowed are"),
    ({"of": "gauss_mid", "metric": "boundary", "left": {"run": "exact", "scales": [7]}}, "allowed are 1.0"),
    ({"of": "fractal_c_cfg", "metric": "boundary", "left": {}, "space": "evaluator"}, "allowed are None"),
]


@pytest.mark.parametrize(("change", "part"), MISTAKES)
def test_what_does_not_fit_is_a_sentence_before_any_job(parsed, change, part):
    from guidance_study.config.loading import ConfigError

    with pytest.raises(ConfigError, match=part) as caught:
        parsed({"tables": {"table_q": {"kind": "contrasts", "title": "t", "contrasts": [GOOD | change]}}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({"family": 1, "contrasts": [GOOD, GOOD | {"question": "r"}]}, "at least"),
        ({"contrasts": [GOOD, GOOD]}, "twice"),
    ],
)
def test_a_table_counts_its_own_questions_each_of_which_stands_once(parsed, table, part):
    from guidance_study.config.loading import ConfigError

    with pytest.raises(ConfigError, match=part):
        parsed({"tables": {"table_q": {"kind": "contrasts", "title": "t", **table}}})


def test_the_same_can_be_asked_of_others(parsed):
    """Each question is followed by the same of every other, with its own measures; a wrong name is a sentence."""
    from guidance_study.config.loading import ConfigError
    from guidance_study.plan.plan import Plan

    table = {"kind": "contrasts", "title": "t", "contrasts": [GOOD], "also": {"classifier guidance": "digits_cg"}}
    study = parsed({"tables": {"table_q": table}})
    questions = study.tables["table_q"].questions
    assert [(c.question, c.of) for c in questions] == [("q", "digits_cfg"), ("q [classifier guidance]", "digits_cg")]
    assert len(Plan(study).targets["table_q"].inputs) == 2
    with pytest.raises(ConfigError, match=r"also.*nothing.*allowed are"):
        parsed({"tables": {"table_q": table | {"also": {"x": "nothing"}}}})


def test_a_table_may_show_the_first_seeds_alone(parsed):
    from guidance_study.plan.plan import Plan

    table = {"kind": "contrasts", "title": "t", "contrasts": [GOOD], "seeds": 2}
    target = Plan(parsed({"seeds": [7, 3, 9], "tables": {"table_q": table}})).targets["table_q"]
    assert {source["seed"] for source in target.params["sources"]} == {7, 3}
