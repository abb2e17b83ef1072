"""What a rule needs of its sampler, its scales and its models: refused in the plan, and what is not refused works."""

import pytest
import torch
from guidance_study.config import seams
from guidance_study.config.loading import ConfigError
from guidance_study.guidance import Model
from guidance_study.stages.samples import Generator
from guidance_study.support.errors import StudyError
from guidance_study.support.randomness import Draws
from guided import guided, noise, process, rule, sample, sampler

BIAS = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None]  # of three classes and of no class
START, LABEL = noise(6, 2), torch.arange(6) % 3
OF_PARTS = {"autoguidance": {"guide": "worse"}, "classifier": {"base": "conditional", "classifier": "judge"}}
TAKEN = {
    "ancestral": {"steps": 6}, "ddim": {"steps": 6}, "dpm_solver": {"steps": 6}, "heun": {"steps": 6},
    "predictor_corrector": {"steps": 6}, "dopri5": {"rtol": 1e-3, "atol": 1e-3},
}  # fmt: skip
ONCE, FIXED = "a sampler of fixed steps, one evaluation each", "a sampler of fixed steps"
UNFIT = [  # rule, its values, sampler, its values, the key that is refused and what is needed; None: they fit
    *(("adaptive_projected", {}, kind, {}, "kind", ONCE) for kind in ("heun", "dopri5", "predictor_corrector")),
    *(("adaptive_projected", {"momentum": 0.0}, kind, {}, None, "") for kind in TAKEN),
    ("adaptive_projected", {}, "heun", {"steps": 1}, None, ""),
    *(("weight_schedule", {"shape": shape}, "dopri5", {}, "kind", FIXED) for shape in ("linear", "cosine", "falling")),
    *(("weight_schedule", {"shape": "constant"}, kind, {}, None, "") for kind in TAKEN),
    ("condition_annealing", {}, "dopri5", {}, "kind", FIXED),
    ("condition_annealing", {"tau_1": 1.0, "tau_2": 1.0}, "dopri5", {}, None, ""),
    ("condition_annealing", {"noise_scale": 0.0}, "dopri5", {}, None, ""),
    ("independent_condition", {}, "dopri5", {}, "kind", FIXED),
    *(("cfg_plus_plus", {}, kind, {}, "kind", "'ddim'") for kind in TAKEN if kind != "ddim"),
    ("cfg_plus_plus", {}, "ddim", {"clip_x0": "after_guidance"}, "clip_x0", "'none' or 'before_guidance'"),
    *(("cfg_plus_plus", {}, "ddim", {"clip_x0": clip}, None, "") for clip in ("none", "before_guidance")),
    *(("predictor_corrector", {}, k, {}, "kind", "'predictor_corrector'") for k in TAKEN if k != "predictor_corrector"),
]


def started(kind: str, values: dict, scale: float, spec, null: int | None = 3):
    """The guided model of a rule that has every part it may ask for, and the bare one."""

    def model(x, t, label):
        bias = label if label.is_floating_point() else BIAS[label]
        return torch.tanh(x + bias) + 0.1 * bias.square()

    models = {"denoiser": Model(model, null, BIAS), "guide": Model(lambda x, t, label: 0.5 * model(x, t, label), null)}
    chosen = rule(kind, **OF_PARTS.get(kind, {}), **values)
    judge = lambda x, t: torch.cat([x, x[:, :1]], dim=1)  # noqa: E731
    return guided(chosen, model, scale, null=null, n=6, process=spec, models=models, classifier=judge), model


@pytest.mark.parametrize(("kind", "values", "by", "steps", "key", "needed"), UNFIT)
def test_what_a_rule_needs_of_a_sampler_follows_from_its_values(kind, values, by, steps, key, needed):
    found = rule(kind, **values).unfit(sampler(by, **steps))
    assert found == (None if key is None else (key, needed))


@pytest.mark.parametrize("by", TAKEN)
@pytest.mark.parametrize("kind", seams.kinds("guidance"))
def test_a_rule_works_with_every_sampler_that_it_is_not_refused_with(kind, by):
    """Of every process that the sampler, and of classifiers the rule, is for."""
    assert set(TAKEN) == set(seams.kinds("processes.samplers"))
    chosen = sampler(by, **TAKEN[by])
    for name, spec in ((name, process(name)) for name in seams.kinds("processes")):
        wants_classifier = "classifiers" in rule(kind, **OF_PARTS.get(kind, {})).roles.values()
        if not isinstance(spec, chosen.fits) or (wants_classifier and not spec.discrete):
            continue
        for values in ({}, *(values for other, values, *_ in UNFIT if other == kind)):
            if rule(kind, **OF_PARTS.get(kind, {}), **values).unfit(chosen) is None:
                model, _ = started(kind, values, 0.6, spec)
                end = sample(model, START, LABEL, spec, kind=by, **TAKEN[by])
                assert torch.isfinite(end).all(), (name, values)


@pytest.mark.parametrize("kind", seams.kinds("guidance"))
def test_at_scale_1_a_rule_asks_for_no_class_where_it_says_so_alone(kind):
    """A model that has no label for it, and raises before another is taken for it."""
    by = {"cfg_plus_plus": "ddim", "predictor_corrector": "predictor_corrector"}.get(kind, "ancestral")
    chosen, spec = rule(kind, **OF_PARTS.get(kind, {})), process()
    guided_model, model = started(kind, {}, 1.0, spec, null=None)
    if chosen.unguided_at_1:
        unguided = sample(Model(model, None), START, LABEL, spec, kind=by, steps=6)
        assert torch.equal(sample(guided_model, START, LABEL, spec, kind=by, steps=6), unguided)
        return
    with pytest.raises(ValueError, match="has no branch without a class"):
        sample(guided_model, START, LABEL, spec, kind=by, steps=6)


def experiment(guidance: dict, **changes) -> dict:
    """A study with an experiment of a rule on digits, under a process of the kind that is asked for."""
    spec = changes.pop("process", "ddpm")
    trained = {"dataset": "digits", "process": spec, "network": "mlp", "training": {
        "steps": 1, "batch_size": 1, "lr": 0.1}}  # fmt: skip
    models = {
        "base": {**trained, "conditional": True, "class_dropout": changes.pop("class_dropout", 0.1)},
        "never_dropped": {**trained, "conditional": True, "class_dropout": 0.0},
        "unconditional": {**trained, "conditional": False},
    }
    mine = {
        "model": "base", "guidance": guidance, "sampler": {"kind": "ddim"}, "arms": [],
        "pool": {"scales": [1], "n": 40}, "evaluation": {"scales": [0.5, 1], "n": 40}, "evaluator": "digits_evaluator",
    }  # fmt: skip
    flow = {"flow": {"kind": "rectified_flow"}, "edm": {"kind": "edm"}}
    return {"processes": flow, "models": models, "experiments": {"mine": mine | changes}}


def run(guidance: dict, sampler: dict | None = None, scales=(0.5, 1), eps: str = "exact") -> dict:
    """A study with a run of a rule in trajectories on a line, beside a conditional and an unconditional part."""
    parts = {"conditional": "gauss_far", "never_dropped": "gauss_never", "unconditional": "gauss_far_unconditional"}
    never = {"dataset": "gauss_far", "process": "ddpm_v", "network": "mlp_line", "conditional": True,
             "class_dropout": 0.0, "training": {"steps": 1, "batch_size": 1, "lr": 0.1}}  # fmt: skip
    runs = {"mine": {"eps": eps, "guidance": guidance, "scales": list(scales)}}
    mine = {"dataset": "gauss_far", "process": "ddpm_v", "parts": parts, "sampler": sampler or {"kind": "ddim"}}
    return {"models": {"gauss_never": never}, "trajectories": {"line": mine | {"runs": runs}}}


PLUS, PROJECTED, POWER = {"kind": "cfg_plus_plus"}, {"kind": "adaptive_projected"}, {"kind": "power_law"}
AUTO, ANOTHER = {"kind": "autoguidance", "guide": "unconditional"}, {"kind": "independent_condition"}
ANNEALED, SCHEDULE = {"kind": "condition_annealing"}, {"kind": "weight_schedule"}
CORRECTED, AFTER = {"kind": "predictor_corrector"}, {"kind": "ddim", "clip_x0": "after_guidance"}
DPM, HEUN = {"kind": "dpm_solver"}, {"process": "edm", "sampler": {"kind": "heun"}}
FREE = {"process": "flow", "sampler": {"kind": "dopri5"}}
NEVER = {"class_dropout": 0.0, "evaluation": {"scales": [1], "n": 40}}
DROPPED = "must be conditional with a class_dropout above 0"
REFUSED = {  # a study, the key, its value, what is said of it
    "CFG++ clipped": (
        experiment(PLUS, sampler=AFTER),
        "mine.sampler.clip_x0",
        "'after_guidance'",
        "'none' or 'before_",
    ),
    "a run of it": (
        run(PLUS, AFTER),
        "line.sampler.clip_x0",
        "'after_guidance'",
        "runs.mine.guidance' of kind 'cfg_plus",
    ),
    "CFG++ by another": (experiment(PLUS, sampler=DPM), "mine.sampler.kind", "'dpm_solver'", "needs 'ddim'"),
    "its run by another": (run(PLUS, DPM), "line.sampler.kind", "'dpm_solver'", "needs 'ddim'"),
    "nothing corrects": (experiment(CORRECTED), "mine.sampler.kind", "'ddim'", "needs 'predictor_corrector'"),
    "half steps": (experiment(PROJECTED, **HEUN), "mine.sampler.kind", "'heun'", f"'adaptive_projected' needs {ONCE}"),
    "momentum and corrections": (run(PROJECTED, CORRECTED), "line.sampler.kind", "'predictor_corrector'", ONCE),
    "another class": (
        experiment(ANOTHER, **FREE),
        "mine.sampler.kind",
        "'dopri5'",
        f"'independent_condition' needs {FIXED}",
    ),
    "fresh noise": (
        experiment(ANNEALED, **FREE),
        "mine.sampler.kind",
        "'dopri5'",
        f"'condition_annealing' needs {FIXED}",
    ),
    "unknown length": (
        experiment(SCHEDULE, **FREE),
        "mine.sampler.kind",
        "'dopri5'",
        f"'weight_schedule' needs {FIXED}",
    ),
    "lambda": (
        experiment(PLUS, evaluation={"scales": [0, 1.5], "n": 40}),
        "mine.evaluation.scales[1]",
        "1.5",
        "at most 1,",
    ),
    "lambda of a pool": (experiment(PLUS, pool={"scales": [2], "n": 40}), "mine.pool.scales[0]", "2", "at most 1,"),
    "lambda of a run": (run(PLUS, scales=[1.1]), "line.runs.mine.scales[0]", "1.1", "at most 1,"),
    "CFG++ at 1": (experiment(PLUS, **NEVER), "mine.guidance.kind", "'cfg_plus_plus'", DROPPED),
    "annealing at 1": (experiment(ANNEALED, **NEVER), "mine.guidance.kind", "'condition_annealing'", DROPPED),
    "a run at 1": (run(PLUS, scales=[1], eps="never_dropped"), "mine.guidance.kind", "'cfg_plus_plus'", DROPPED),
    "a run at 1 and 2": (run(POWER, scales=[1, 2], eps="never_dropped"), "mine.guidance.kind", "'power_law'", DROPPED),
    "guide": (experiment(AUTO), "mine.guidance.guide", "'unconditional'", "must be a conditional model"),
    "guide of a run": (run(AUTO), "mine.guidance.guide", "'unconditional'", "must be a conditional model"),
    "base": (experiment(AUTO, model="unconditional"), "mine.guidance.kind", "'autoguidance'", "must be conditional."),
    "base of a run": (
        run(ANOTHER, eps="unconditional"),
        "mine.guidance.kind",
        "'independent_condition'",
        "conditional.",
    ),
    "base at 1": (run(POWER, scales=[1], eps="unconditional"), "mine.guidance.kind", "'power_law'", "be conditional."),
}
CONSTANT, STILL = SCHEDULE | {"shape": "constant"}, PROJECTED | {"momentum": 0.0}
ALLOWED = {
    "a constant weight by a solver": experiment(CONSTANT, **FREE),
    "half steps without momentum": experiment(STILL, **HEUN),
    "CFG++ of clipped models": run(PLUS, AFTER | {"clip_x0": "before_guidance"}),
    "scale 1 alone": experiment(POWER, **NEVER),
    "scale 1 alone in a run": run(POWER, scales=[1], eps="never_dropped"),
    "a guide that knows classes alone": experiment(AUTO | {"guide": "never_dropped"}, class_dropout=0.0),
    "an exact guide": run(AUTO | {"guide": "exact"}, eps="never_dropped"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_a_job_could_not_do_is_refused_in_the_plan(parsed, mistake):
    changes, key, value, said = REFUSED[mistake]
    with pytest.raises(ConfigError) as caught:
        parsed(changes)
    sentence = f"{caught.value}."
    assert f"{key}' has the value {value}:" in sentence
    assert said in sentence


@pytest.mark.parametrize("case", ALLOWED)
def test_what_a_job_can_do_is_not(parsed, case):
    assert parsed(ALLOWED[case])


@pytest.mark.parametrize(
    ("scale", "clip", "said"),
    [(0.5, "after_guidance", "needs 'none' or 'before_guidance'"), (1.5, "none", "has scales up to 1, not 1.5")],
)
def test_nor_does_python_s_own_door_let_it_through(scale, clip, said):
    """Samplers and scales that no configuration named."""
    _, model = started("cfg_plus_plus", {}, 1.0, process())
    chosen = sampler("ddim", steps=3, clip_x0=clip)
    models = {"denoiser": Model(model, 3)}
    generator = Generator(process(), chosen, rule("cfg_plus_plus"), models, {}, (2,), 3)
    with pytest.raises(StudyError, match=said):
        generator.generate(Draws(0, "test", 0, 6), scale)
