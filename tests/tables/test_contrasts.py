"""Questions of a table of contrasts, asked of worlds whose answer was planted."""

import numpy as np
import pandas as pd
import pytest
from guidance_study.tables.contrasts import Contrast
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
    return pd.DataFrame(found)


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


def test_what_does_not_fit_is_a_sentence(parsed):
    from guidance_study.config.loading import ConfigError

    good = {"question": "q", "of": "digits_cfg", "metric": "margin", "left": {"scales": [2.5]}, "expects": "above"}
    wrong = {
        "of": ("nothing", "allowed are"), "metric": ("sharpness", "allowed are"), "space": ("moon", "allowed are"),
        "left": ({"arm": "no_arm"}, "allowed are pixels_k20"), "right": ({"scales": [9]}, "allowed are 2.25"),
        "expects": ("equal", "how near to 0"),
    }  # fmt: skip
    for key, (value, part) in wrong.items():
        table = {"kind": "contrasts", "title": "t", "contrasts": [good | {key: value}]}
        with pytest.raises(ConfigError, match=part) as caught:
            parsed({"tables": {"table_q": table}})
        assert "\n" not in str(caught.value)
