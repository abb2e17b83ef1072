"""Every mistake in a configuration stops before any job, in one sentence with key, value and what is allowed."""

import pytest
from conftest import TOP
from guidance_study.config import seams
from guidance_study.config.loading import ConfigError, load, merge, read
from guidance_study.config.sentences import no_target

MISTAKES = {
    "unknown key": ({"networks": {"mlp": {"widht": 3}}}, ["networks.mlp.widht", "3", "width"]),
    "unknown top key": ({"netwroks": {}}, ["netwroks", "networks"]),
    "unknown key of an arm": ({"experiments": {"digits_cfg": {"arms": [{"space": "features", "k": 7, "postprocessor": "digits", "search": {"kind": "ivf"}}]}}}, ["experiments.digits_cfg.arms[0].search", "unknown", "allowed", "space, k, postprocessor, train_on"]),
    "string for number": ({"experiments": {"digits_cfg": {"pool": {"n": "6000"}}}}, ["experiments.digits_cfg.pool.n", "'6000'", "integer"]),
    "1e-4 is text": ({"processes": {"ddpm": {"beta_start": "1e-4"}}}, ["processes.ddpm.beta_start", "'1e-4'", "1.0e-4"]),
    "infinite": ({"processes": {"ddpm": {"beta_end": float("inf")}}}, ["processes.ddpm.beta_end", "inf", "a number is finite"]),
    "nan": ({"models": {"digits_conditional": {"training": {"lr": float("nan")}}}}, ["models.digits_conditional.training.lr", "nan", "finite"]),
    "scale -1": ({"experiments": {"digits_cfg": {"evaluation": {"scales": [2.25, -1]}}}}, ["experiments.digits_cfg.evaluation.scales[1]", "-1", "greater than or equal to 0"]),
    "no scales": ({"experiments": {"digits_cfg": {"pool": {"scales": []}}}}, ["experiments.digits_cfg.pool.scales", "[]", "at least 1"]),
    "a scale twice": ({"experiments": {"digits_cfg": {"pool": {"scales": [1, 2, 1]}}}}, ["experiments.digits_cfg.pool.scales", "1", "once"]),
    "k above smallest class": ({"experiments": {"digits_cfg": {"arms": [{"space": "pixels", "k": 140, "postprocessor": "digits"}]}}}, ["experiments.digits_cfg.arms[0].k", "140", "at most 104"]),
    "unknown dataset": ({"models": {"digits_conditional": {"dataset": "mnist"}}}, ["models.digits_conditional.dataset", "'mnist'", "digits"]),
    "unknown dataset kind": ({"datasets": {"digits": {"kind": "svhn"}}}, ["datasets.digits.kind", "'svhn'", "digits"]),
    "unknown network kind": ({"networks": {"mlp": {"kind": "resnet"}}}, ["networks.mlp.kind", "'resnet'", "residual_mlp"]),
    "missing experiment": ({"tables": {"table_digits": {"experiments": ["digits_cgf"]}}}, ["tables.table_digits.experiments[0]", "'digits_cgf'", "digits_cfg"]),
    "table without its scale": ({"tables": {"table_digits": {"scales": [7.0]}}}, ["tables.table_digits.scales[0]", "7.0", "2.25"]),
    "table without its arm": ({"tables": {"table_digits": {"arms": ["pixels_k7"]}}}, ["tables.table_digits.arms[0]", "'pixels_k7'", "pixels_k20"]),
    "table and figure of one name": ({"figures": {"table_digits": {"kind": "pca", "title": "x", "experiments": ["digits_cfg"], "scale": 2.5, "arm": "pixels_k20"}}}, ["table_digits", "twice", "rename"]),
    "name of a rule": ({"tables": {"samples": {"kind": "images", "title": "x", "experiments": ["digits_cfg"]}}}, ["'samples'", "taken", "another"]),
    "evaluator feeds neighbours": ({"embeddings": {"features": {"classifier": "digits_evaluator"}}}, ["experiments.digits_cfg.arms[1].space", "'features'", "another"]),
    "noisy evaluator": ({"experiments": {"digits_cfg": {"evaluator": "digits_noisy"}}}, ["experiments.digits_cfg.evaluator", "'digits_noisy'", "clean"]),
    "guidance without class dropout": ({"models": {"digits_conditional": {"class_dropout": 0.0}}}, ["experiments.digits_cfg.guidance.kind", "'classifier_free'", "class_dropout"]),
    "clean classifier guides": ({"experiments": {"digits_cg": {"guidance": {"classifier": "digits_features"}}}}, ["experiments.digits_cg.guidance.classifier", "'digits_features'", "'ddpm_image'"]),
    "more sampling than diffusion steps": ({"experiments": {"digits_cg": {"sampler": {"steps": 1001}}}}, ["experiments.digits_cg.sampler.steps", "1001", "at most 1000"]),
    "a sampler that does not fit": ({"processes": {"edm": {"kind": "edm"}}, "models": {"digits_conditional": {"process": "edm"}}}, ["experiments.digits_cfg.sampler.kind", "'dpm_solver'", "allowed are heun"]),
    "trajectories by a sampler that shows no states": ({"trajectories": {"fractal_c": {"sampler": {"kind": "heun"}}}}, ["trajectories.fractal_c.sampler.kind", "'heun'", "allowed are ancestral, ddim"]),
    "negative seed": ({"seeds": [0, -3]}, ["seeds[1]", "-3", "greater than or equal to 0"]),
    "unknown target": ({"all": ["table_9"]}, ["all[0]", "'table_9'", "table_digits"]),
    "betas reversed": ({"processes": {"ddpm": {"beta_end": 1.0e-5}}}, ["processes.ddpm.beta_end", "1e-05", "above"]),
    "signal lost": ({"processes": {"ddpm": {"beta_end": 0.9}}}, ["processes.ddpm.beta_end", "0.9", "at least 1e-08"]),
    "too many levels for 8 x 8": ({"networks": {"unet": {"channel_mult": [1, 1, 1, 1, 1]}}, "models": {"digits_conditional": {"network": "unet"}}}, ["models.digits_conditional.network", "'unet'", "multiples of 16"]),
    "heads that do not divide": ({"networks": {"unet": {"num_heads": 3}}, "models": {"digits_conditional": {"network": "unet"}}}, ["networks.unet", "num_heads 3", "evenly"]),
    "no head channels": ({"networks": {"unet": {"num_head_channels": 0}}}, ["networks.unet.num_head_channels", "0", "-1"]),
    "tiny blocks": ({"experiments": {"digits_cfg": {"evaluation": {"n": 1}}}}, ["experiments.digits_cfg.evaluation.n", "1", "10"]),
    "an experiment twice in a table": ({"tables": {"table_digits": {"experiments": ["digits_cfg", "digits_cfg"]}}}, ["tables.table_digits.experiments", "digits_cfg", "once"]),
    "nothing to tabulate": ({"tables": {"table_digits": {"metrics": ["near_copies"], "references": ["held_out"]}}}, ["tables.table_digits.references", "'train'", "near_copies"]),
    "sizes that do not compare": ({"experiments": {"digits_cg": {"evaluation": {"n": 100}}}}, ["tables.table_digits.experiments", "the n of", "100"]),
    "evaluators that do not compare": ({"experiments": {"digits_cg": {"evaluator": "digits_features", "arms": [{"space": "pixels", "postprocessor": "digits"}]}}, "tables": {"table_digits": {"arms": []}}, "figures": {"fig_digits_samples": {"experiments": ["digits_cfg"]}, "fig_digits_pca": {"experiments": ["digits_cfg"]}}}, ["tables.table_digits.experiments", "evaluator", "digits_features"]),
    "a judge of no images": ({"datasets": {"digits": {"judges": 0.0}}}, ["classifiers.digits_evaluator.part", "'judge'", "datasets.digits.judges"]),
    "evaluator under another name": ({"classifiers": {"judge": {"dataset": "digits", "network": {"kind": "mlp"}, "training": {"steps": 600, "batch_size": 128, "lr": 0.002, "lr_schedule": "cosine"}}}, "experiments": {"digits_cfg": {"evaluator": "judge"}}}, ["experiments.digits_cfg.arms[1].space", "'features'", "another classifier"]),
    "a key that is no text": ({"networks": {"mlp": {True: 1}}}, ["networks.mlp.True", "1", "width"]),
    "a pool too small": ({"experiments": {"digits_cfg": {"pool": {"n": 29}}}}, ["experiments.digits_cfg.pool.n", "29", "at least 30"]),
    "no guiding classifier": ({"experiments": {"digits_cg": {"guidance": {"classifier": None}}}}, ["experiments.digits_cg.guidance.classifier", "None", "allowed are digits_noisy"]),
    "a mixture that is not known": ({"trajectories": {"gauss_far": {"dataset": "digits"}}}, ["trajectories.gauss_far.dataset", "'digits'", "gauss_far"]),
    "exact judge of unknown data": ({"experiments": {"digits_cfg": {"evaluator": "exact"}}}, ["experiments.digits_cfg.evaluator", "'exact'", "fractal_c"]),
    "a part of other data": ({"trajectories": {"gauss_far": {"parts": {"linear": "gauss_mid_linear"}}}}, ["trajectories.gauss_far.parts.linear", "'gauss_mid_linear'", "'gauss_far'"]),
    "a run without its part": ({"trajectories": {"gauss_far": {"runs": {"classifier_free": {"eps": "nonlinear"}}}}}, ["trajectories.gauss_far.runs.classifier_free.eps", "'nonlinear'", "conditional"]),
    "a run's classifier": ({"trajectories": {"gauss_far": {"runs": {"linear": {"guidance": {"classifier": "best"}}}}}}, ["trajectories.gauss_far.runs.linear.guidance.classifier", "'best'", "exact"]),
    "a run with the wrong model": ({"trajectories": {"gauss_far": {"runs": {"classifier_free": {"eps": "unconditional"}}}}}, ["trajectories.gauss_far.runs.classifier_free.guidance.kind", "'classifier_free'", "class_dropout"]),
    "more steps of a run than diffusion": ({"trajectories": {"gauss_far": {"runs": {"exact": {"steps": 2000}}}}}, ["trajectories.gauss_far.runs.exact.steps", "2000", "at most 1000"]),
    "a model called exact": ({"models": {"exact": {"dataset": "digits", "process": "ddpm", "network": "mlp", "conditional": True, "training": {"steps": 1, "batch_size": 1, "lr": 0.1}}}}, ["'exact'", "taken", "another"]),
    "a table without its run": ({"tables": {"table_1d": {"runs": ["best"]}}}, ["tables.table_1d", "'best'", "nonlinear"]),
    "a gap at another scale": ({"tables": {"table_gap": {"pairs": [{"left": "classifier_free", "right": "late"}]}}, "trajectories": {p: {"runs": {"late": {"eps": "unconditional", "guidance": {"kind": "classifier", "classifier": "linear"}, "scales": [2]}}} for p in ("gauss_far", "gauss_mid", "gauss_near")}}, ["trajectories.gauss_far.runs.late.scales[0]", "2", "1"]),
    "images in a table of points": ({"tables": {"table_2d": {"experiments": ["digits_cfg"]}}}, ["tables.table_2d.experiments[0]", "'digits_cfg'", "fractal_a_cg"]),
    "points in a table of images": ({"tables": {"table_digits": {"experiments": ["fractal_c_cfg"]}}}, ["tables.table_digits.experiments[0]", "'fractal_c_cfg'", "digits_cfg"]),
    "a figure in another space": ({"figures": {"fig_1": {"trajectories": ["fractal_c"], "runs": ["classifier_free"]}}}, ["figures.fig_1.trajectories", "(2,)", "(1,)", "'fractal_c'"]),
    "columns and rows both many": ({"figures": {"fig_3": {"runs": ["classifier_free", "linear"]}}}, ["figures.fig_3.runs", "one value"]),
    "Tab. 1 at a scale that is not made": ({"tables": {"table_1": {"scales": [1, 2, 7]}}}, ["tables.table_1.scales[2]", "7", "2.5"]),
    "sides of Eq. (4) swapped": ({"tables": {"table_gap": {"pairs": [{"left": "nonlinear", "right": "classifier_free"}]}}}, ["tables.table_gap.pairs[0].left", "'nonlinear'", "conditional"]),
    "a side of Eq. (4) told its class twice": ({"tables": {"table_gap": {"pairs": [{"left": "classifier_free", "right": "twice"}]}}, "trajectories": {p: {"runs": {"twice": {"eps": "conditional", "guidance": {"kind": "classifier", "classifier": "linear", "base": "conditional"}, "scales": [1]}}} for p in ("gauss_far", "gauss_mid", "gauss_near")}}, ["tables.table_gap.pairs[0].right", "'twice'", "an unconditional base"]),
    "a reference that is not exact": ({"tables": {"table_1d": {"reference": "linear"}}}, ["tables.table_1d.reference", "'linear'", "exact eps"]),
    "points on a line in the plane": ({"figures": {"fig_scale": {"trajectories": "gauss_far", "runs": ["linear"]}}}, ["figures.fig_scale.trajectories", "(1,)", "(2,)"]),
    "rows of unequal length": ({"figures": {"fig_4": {"experiments": ["fractal_a_cg", "fractal_c_cfg"]}}}, ["figures.fig_4.experiments", "equally many"]),
    "blocks of points": ({"experiments": {"fractal_c_cfg": {"evaluation": {"repeats": 3}}}}, ["experiments.fractal_c_cfg.evaluation.repeats", "3", "1"]),
    "balls larger than a class": ({"experiments": {"fractal_c_cfg": {"evaluation": {"n": 10}}}}, ["experiments.fractal_c_cfg.evaluation.manifold_k", "5", "below 5"]),
    "points that do not compare": ({"experiments": {"fractal_a_cg": {"evaluation": {"manifold_k": 3}}}}, ["tables.table_2d.experiments", "manifold_k", "3"]),
    "too few trajectories": ({"trajectories": {"gauss_far": {"n": 1}}}, ["trajectories.gauss_far.n", "1", "at least 2"]),
    "a CNN on points": ({"classifiers": {"fractal_a_cnn": {"dataset": "fractal_a", "network": {"kind": "cnn"}, "training": {"steps": 1, "batch_size": 1, "lr": 0.1}}}}, ["classifiers.fractal_a_cnn.network.kind", "'cnn'", "(2,)"]),
    "a classifier denoises": ({"networks": {"mlp2": {"kind": "cnn"}}}, ["networks.mlp2.kind", "'cnn'", "residual_mlp, song_unet, unet"]),
    "a denoiser classifies": ({"classifiers": {"judge": {"dataset": "digits", "network": {"kind": "unet"}, "training": {"steps": 1, "batch_size": 1, "lr": 0.1}}}}, ["classifiers.judge.network.kind", "'unet'", "cnn, linear, mlp"]),
    "a network deaf to augmentations": ({"processes": {"edm": {"kind": "edm"}}, "networks": {"song": {"kind": "song_unet", "augment_dim": 0}, "hearing": {"kind": "song_unet"}}, "models": {"deaf": {"dataset": "digits", "process": "edm", "network": "song", "conditional": False, "augment": 0.1, "training": {"steps": 1, "batch_size": 1, "lr": 0.1}}}}, ["models.deaf.augment", "0.1", "hearing"]),
    "channels that do not embed": ({"networks": {"song": {"kind": "song_unet", "model_channels": 6}}}, ["networks.song", "6", "multiple of 4"]),
    "a colour that is none": ({"figures": {"fig_5": {"colours": ["blurple", "#000000"]}}}, ["figures.fig_5.colours[0]", "'blurple'", "#0072B2"]),
    "no kind": ({"tables": {"new": {"title": "", "experiments": ["digits_cfg"]}}}, ["tables.new.kind", "missing"]),
    "Tab. 1 without scale 1": ({"tables": {"table_1": {"scales": [2, 2.5, 3]}}}, ["tables.table_1.scales[0]", "2", "1"]),
    "an old key of a training": ({"models": {"digits_conditional": {"training": {"ema": 0.9}}}}, ["models.digits_conditional.training.ema", "ema_decay"]),
    "an old key of an evaluation": ({"experiments": {"digits_cfg": {"evaluation": {"block_size": 100}}}}, ["experiments.digits_cfg.evaluation.block_size", "'n' now"]),
    "an old key of a process": ({"processes": {"ddpm": {"steps": 1000}}}, ["processes.ddpm.steps", "timesteps"]),
    "an old key of a sampler": ({"experiments": {"digits_cfg": {"sampler": {"clip": True}}}}, ["experiments.digits_cfg.sampler.clip", "clip_x0"]),
    "an old section": ({"paths": {}}, ["'paths'", "trajectories"]),
    "a name that is no name": ({"seeds": [0], "networks": {"My Net": {"kind": "residual_mlp"}}}, ["networks.My Net", "lower-case"]),
    "a title of two lines": ({"tables": {"table_1": {"title": "a\n\\input{b}"}}}, ["tables.table_1.title", "one line"]),
    "a path with a zero byte": ({"datasets": {"mine": {"kind": "image_folder", "root": "a\0b", "size": 8, "classes": 2}}}, ["datasets.mine.root", "control characters"]),
    "a subnormal number": ({"models": {"digits_conditional": {"training": {"lr": 1.0e-320}}}}, ["models.digits_conditional.training.lr", "1e-320", "between 1e-12 and 1e+12"]),
    "a number whose square is none": ({"datasets": {"gauss_far": {"separation": 1.0e200}}}, ["datasets.gauss_far.separation", "1e+200"]),
    "a size of 1e12": ({"models": {"digits_conditional": {"training": {"batch_size": 10**12}}}}, ["models.digits_conditional.training.batch_size", "1000000000000"]),
    "a count beyond all counting": ({"seeds": [10**5000]}, ["seeds", "cannot be written out"]),
    "a network that no machine holds": ({"networks": {"mlp": {"width": 10**9}}}, ["models.digits_conditional.network", "operations"]),
    "a name of 300 letters": ({"networks": {"a" * 300: {"kind": "residual_mlp"}}}, ["networks.aaa", "60"]),
    "an embedding called evaluator": ({"embeddings": {"evaluator": {"kind": "pixels"}}}, ["'evaluator'", "'embeddings'", "taken"]),
    "an embedding called none": ({"embeddings": {"none": {"kind": "pixels"}}}, ["'none'", "taken"]),
    "a judge called none": ({"classifiers": {"none": {"dataset": "digits", "network": {"kind": "linear"}, "training": {"steps": 9, "batch_size": 9, "lr": 0.1}}}}, ["'none'", "taken"]),
    "a table called shard": ({"tables": {"shard": {"kind": "images", "title": "x", "experiments": ["digits_cfg"]}}}, ["'shard'", "taken", "another"]),
    "a fractal that overflows": ({"datasets": {"fractal_a": {"weight_factor": 1.0e12, "length_factor": 1.0e12, "angle_base": 1.0e12, "splits": 10, "along": 1.0e-12}}}, ["datasets.fractal_a", "not finite"]),
    "groups that do not divide a SongUNet": ({"networks": {"edm": {"kind": "song_unet", "model_channels": 140}}, "models": {"digits_conditional": {"network": "edm"}}}, ["models.digits_conditional.network", "channels", "groups"]),
    "a patch that does not divide": ({"embeddings": {"vit": {"kind": "timm", "pool": "cls", "resize": 161}}}, ["embeddings.vit", "161", "multiple of 14"]),
    "more generations than there are": ({"figures": {"fig_digits_samples": {"per_class": 10**6}}}, ["figures.fig_digits_samples.per_class", "at most 450", "digits_cfg"]),
    "a class with one image": ({"experiments": {"digits_cfg": {"evaluation": {"n": 15, "per_class": True}}}}, ["experiments.digits_cfg.evaluation.per_class", "1 images", "needs 2"]),
    "guidance that outside weights may not know": ({"models": {"digits_conditional": {"training": None, "class_dropout": None, "weights": {"path": "w.safetensors", "sha256": "0" * 64}}}}, ["experiments.digits_cfg.guidance.kind", "'digits_conditional'", "class_dropout"]),
    "outside weights of unknown groups": ({"networks": {"unet": {"norm_groups": None}}, "models": {"digits_unconditional": {"network": "unet", "training": None, "weights": {"path": "w.safetensors", "sha256": "0" * 64}}}}, ["networks.unet.norm_groups", "digits_unconditional", "32"]),
    "a classifier with two sources": ({"classifiers": {"digits_noisy": {"weights": {"path": "w.safetensors", "sha256": "0" * 64}}}}, ["classifiers.digits_noisy", "either 'training' or 'weights'"]),
    "an outside classifier of unknown groups": ({"classifiers": {"digits_noisy": {"training": None, "network": {"kind": "unet_encoder", "model_channels": 32}, "weights": {"path": "w.safetensors", "sha256": "0" * 64}}}}, ["classifiers.digits_noisy.network.norm_groups", "None", "32"]),
    "a trained network with a variance to learn": ({"networks": {"unet": {"kind": "unet", "model_channels": 32, "learn_sigma": True}}, "models": {"digits_unconditional": {"network": "unet"}}}, ["models.digits_unconditional.network", "'unet'", "weights from outside"]),
    "a flow with a variance to learn": ({"networks": {"unet": {"kind": "unet", "model_channels": 32, "learn_sigma": True}}, "postprocessors": {"digits": {"network": "unet"}}}, ["postprocessors.digits.network", "'unet'", "variance"]),
    "a variance that nothing learned": ({"experiments": {"digits_cg": {"sampler": {"kind": "ancestral", "grid": "uniform", "sigma": "learned"}}}}, ["experiments.digits_cg.sampler", "learned variance", "digits_unconditional"]),
    "a closed form told by vectors": ({"trajectories": {"gauss_far": {"runs": {"exact": {"guidance": {"kind": "condition_annealing"}}}}}}, ["trajectories.gauss_far.runs.exact.guidance.kind", "condition_annealing", "exact"]),
    "a class drowned before it is bare": ({"experiments": {"digits_cfg": {"guidance": {"kind": "condition_annealing", "tau_1": 0.9, "tau_2": 0.5}}}}, ["tau_1 has the value 0.9", "tau_2, 0.5"]),
    "a seed of weights from outside": ({"classifiers": {"digits_noisy": {"training": None, "seed": 1, "weights": {"path": "w.safetensors", "sha256": "0" * 64}}}}, ["classifiers.digits_noisy", "neither 'seed' nor 'part'"]),
    "laws of a learned variance": ({"tables": {"table_laws": {"samplers": [{"kind": "ancestral", "steps": 4, "sigma": "learned"}]}}}, ["tables.table_laws.samplers[0]", "learned variance"]),
    "a loss divided by next to nothing": ({"processes": {"ddpm_image": {"betas": "cosine", "prediction": "eps", "loss_on": "v"}}}, ["processes.ddpm_image.loss_on", "'v'", "predict v"]),
    "cosine betas without a clip": ({"processes": {"ddpm_image": {"betas": "cosine"}}, "experiments": {"digits_cfg": {"sampler": {"grid": "uniform"}}}}, ["experiments.digits_cfg.sampler.clip_x0", "'none'", "log_snr"]),
    "trajectories of a learned variance": ({"trajectories": {"gauss_far": {"sampler": {"kind": "ancestral", "grid": "uniform", "steps": 5, "sigma": "learned"}}}}, ["trajectories.gauss_far.sampler", "learned variance"]),
    "an unconditional base for a rule that wants the class": ({"experiments": {"digits_cg": {"guidance": {"base": "conditional"}}}}, ["experiments.digits_cg.guidance.kind", "'classifier'", "conditional"]),
    "a control without a selector": ({"experiments": {"digits_cfg": {"arms": [{"space": "features", "postprocessor": "digits", "half": "low"}]}}, "tables": {"table_digits": {"arms": None}, "table_digits_quality": {"arms": None}}}, ["experiments.digits_cfg.selector", "None", "margins"]),
    "a judge who is the evaluator": ({"experiments": {"digits_cfg": {"judges": ["digits_evaluator"]}}}, ["experiments.digits_cfg.judges[0]", "network of"]),
    "pairs of too many neighbours": ({"experiments": {"fractal_c_cfg": {"arms": [{"space": "points", "k": 10001, "postprocessor": "fractal", "targets": "near_boundary"}]}}}, ["experiments.fractal_c_cfg.arms[0].k", "at most 10000", "pairs"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(parsed, mistake):
    changes, expected = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        parsed(changes)
    message = str(caught.value)
    assert "\n" not in message
    for part in expected:
        assert part in message, message


def test_neighbours_in_a_classifier_s_space_where_nothing_judges(default, parsed):
    """Only figures show such an experiment: there is no evaluator whose network could be the space's."""
    unjudged = default["experiments"]["digits_cfg"] | {"evaluator": None}
    assert any(arm["space"] == "features" for arm in unjudged["arms"])
    assert parsed({"experiments": {"unjudged": unjudged}}).experiments["unjudged"].evaluator is None


def test_the_same_name_twice_in_a_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("tables:\n  a: {}\n  b: {}\n  a: {}\n")
    with pytest.raises(ConfigError, match=r"c\.yaml, line 4: the name 'a' is used twice"):
        read(path)


def test_heuns_noise_levels_fall():
    with pytest.raises(ValueError, match="sigma_min has the value 9"):
        seams.parse("processes.samplers", {"kind": "heun", "sigma_min": 9.0, "sigma_max": 1.0})


FILES = {
    "a list that does not end": (b"a: [1", "not valid YAML"),
    "a list": (b"- 1", "must hold a mapping"),
    "nothing": (b"", "must hold a mapping"),
    "Latin-1": ("a: é".encode("latin-1"), "is not UTF-8: byte"),
    "UTF-16": ("a: 1".encode("utf-16"), "must hold a mapping|not valid YAML|not UTF-8|holds a value that is none"),
    "a date that is none": (b"a: 2025-13-45", "holds a value that is none: month must be in 1..12"),
    "a number of 5000 digits": (b"a: " + b"9" * 5000, "holds a value that is none"),
    "3000 brackets": (b"a: " + b"[" * 3000 + b"]" * 3000, "nested too deeply"),
    "a laugh of a billion": (
        b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n".encode() for i in range(1, 12)),
        "more than 200000 values",
    ),
    "itself": (b"a: &a\n  b: *a\n", "more than 200000 values|holds a value|not valid YAML"),
    "a list as a key": (b"[1, 2]: 3", "holds a value that is none|not valid YAML"),
    "a tag of Python": (b"a: !!python/object/apply:os.mkdir [ran]", "not valid YAML"),
}


@pytest.mark.parametrize("what", FILES)
def test_files_that_are_no_configuration(tmp_path, monkeypatch, what):
    content, part = FILES[what]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=part) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert "c.yaml'" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load([tmp_path / "none.yaml"])


@pytest.mark.parametrize("where", [("datasets", "digits"), ("networks", "mlp"), ("figures", "fig_1")])
def test_a_sentence_has_one_line_whatever_is_wrong(parsed, where):
    section, name = where
    with pytest.raises(ConfigError, match=rf"{section}.{name}.kind.*has the value 'a.*b': allowed are") as caught:
        parsed({section: {name: {"kind": "a\nb"}}})
    assert "\n" not in str(caught.value)


def test_merge_lays_mappings_and_replaces_lists():
    assert merge({"a": {"b": 1, "c": [1, 2]}}, {"a": {"c": [3]}}) == {"a": {"b": 1, "c": [3]}}


OVER = {
    "mnist_gpu": ["paper"],
    "adm": ["paper"],
    "robustness": ["controls"],
    "mnist_seeds": ["mnist_laptop"],
    "mnist_classifier": ["mnist_laptop", "mnist_seeds"],
    "mnist_weak": ["mnist_laptop", "mnist_seeds"],
    "controls_classifier": ["controls"],
    "fashion": ["mnist_laptop"],
}


@pytest.mark.parametrize("overlay", sorted((TOP / "config").glob("*.yaml")), ids=lambda p: p.stem)
def test_overlays_are_valid(overlay):
    below = [TOP / "config" / f"{name}.yaml" for name in OVER.get(overlay.stem, [])]  # as their heads say
    assert load([TOP / "config.yaml", *below, overlay]) != load([TOP / "config.yaml", *below])


def test_a_name_that_is_no_target_is_met_with_what_it_may_have_meant():
    targets = ["table_1", "table_1d", "fig_boundary"]
    assert "did you mean fig_boundary?" in no_target("fig_bondary", targets)
    assert "declared in config/guidance.yaml: add --configfile config/guidance.yaml" in no_target(
        "table_guidance", targets
    )
    assert "declared are table_1, table_1d, fig_boundary" in no_target("denoiser", targets)
