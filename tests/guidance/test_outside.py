"""Which rules guide weights from outside, and the reason where they do not."""

import pytest
from guidance_study.config import seams
from guidance_study.config.loading import ConfigError

WEIGHTS = {"weights": {"path": "w.safetensors", "sha256": "0" * 64}}
NEEDS = {"autoguidance": {"guide": "digits_conditional"}, "classifier": {"classifier": "digits_noisy"}}
KINDS = sorted(seams.kinds("guidance"))


def planned(parsed, kind: str, said: dict, **rule):
    """A study with an experiment of a rule on a model of the digits whose weights came from outside."""
    samplers = seams.kinds("guidance")[kind].samplers
    model = {"dataset": "digits", "process": "ddpm_image", "network": "mlp", **WEIGHTS, **said}
    mine = {
        "model": "outside", "guidance": {"kind": kind, **NEEDS.get(kind, {}), **rule}, "arms": [],
        "sampler": {"kind": samplers[0] if samplers else "ddim", "steps": 4},
        "pool": {"scales": [1], "n": 40},
        "evaluation": {"scales": [0.5, 1], "n": 40}, "evaluator": "digits_evaluator",
    }  # fmt: skip
    return parsed({"models": {"outside": model}, "experiments": {"mine": mine}})


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_know_no_class_too_are_guided_by_every_rule(parsed, kind):
    said = {"conditional": True, "class_dropout": 0.1}
    rule = {"base": "conditional"} if kind == "classifier" else {}
    assert planned(parsed, kind, said, **rule).experiments["mine"].guidance.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_unconditional_weights_are_guided_by_a_classifier_alone(parsed, kind):
    if kind == "classifier":
        assert planned(parsed, kind, {"conditional": False}).experiments["mine"].guidance.kind == kind
        return
    with pytest.raises(ConfigError, match=r"experiments\.mine\.guidance\.kind.*model 'outside' must be conditional"):
        planned(parsed, kind, {"conditional": False})


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_which_nobody_says_whether_the_class_was_dropped(parsed, kind):
    """They are guided by what needs no model without classes: one's own classifier, or another class."""
    free = not seams.kinds("guidance")[kind].class_free
    rule = {"base": "conditional"} if kind == "classifier" else {}
    if free:
        assert planned(parsed, kind, {"conditional": True}, **rule).experiments["mine"].guidance.kind == kind
        return
    with pytest.raises(ConfigError, match="nothing says that the weights of model 'outside' were trained"):
        planned(parsed, kind, {"conditional": True}, **rule)
