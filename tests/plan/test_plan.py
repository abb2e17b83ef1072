"""The plan: what a change of the configuration adds, and that it leaves everything else alone."""

import subprocess
import sys
import time

import pytest
from conftest import TOP, merge, parse, read
from guidance_study.plan.base import REPLICA
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import recipe_key
from guidance_study.store.lineage import status
from guidance_study.support.text import canonical


def addresses(plan: Plan, *stages: str) -> set[str]:
    return {a.address for a in plan.artefacts.values() if not stages or a.stage in stages}


def test_plan_imports_nothing_heavy():
    code = (
        "import sys; sys.path.insert(0, 'workflow')\n"
        "from guidance_study.config.loading import load; from guidance_study.execution.rulebook import Rulebook\n"
        "Rulebook(load(['config.yaml']))\n"
        "print([m for m in ('torch', 'numpy', 'faiss', 'pandas', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_dry_run_imports_no_torch():
    command = [sys.executable, "-X", "importtime", "-m", "snakemake", "-n", "-d", str(TOP)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "guidance_study.plan.plan" in imported
    assert not imported & {"torch", "faiss", "sklearn"}  # numpy and matplotlib are Snakemake's own


def test_default_has_few_jobs(parsed):
    plan = Plan(parsed())
    digits = [name for name in plan.study.all if "digits" in name]
    assert len(plan.ancestors(digits)) + 1 <= 46  # and the rule `all`
    assert len(plan.ancestors(list(plan.study.all))) + 1 <= 140


def test_inputs_come_before_what_is_made_from_them(parsed):
    done = set()
    for artefact in Plan(parsed()).ancestors(["table_digits", "fig_digits_pca"]):
        assert {a.address for a in artefact.inputs.values()} <= done
        done.add(artefact.address)


def test_adding_a_scale_adds_its_own_descendants_and_nothing_else(parsed):
    scales = {"experiments": {"digits_cfg": {"evaluation": {"scales": [2.25, 2.5, 2.75, 4.0]}}}}
    before, after = addresses(Plan(parsed())), addresses(Plan(parsed(scales)))
    new = sorted(address.split("-", 1)[0] for address in after - before)
    tables = ["table/table_digits", "table/table_digits_nn"]  # not _quality, which shows scale 2.5 alone
    shown = ["page/report", "table/metrics", *tables]
    assert new == ["measures/cfg", "page/report", *["postprocessed/cfg"] * 3, "samples/cfg", *shown[1:]]
    assert all("cfg-4-" in address for address in after - before if address.split("-")[0] not in shown)
    assert {address.split("-", 1)[0] for address in before - after} == set(shown)


def test_changing_k_keeps_models_and_samples(parsed):
    arms = [{"space": "features", "k": 7, "postprocessor": "digits"}]
    keep = "dataset", "denoiser", "classifier", "samples"
    changes = {"experiments": {"digits_cfg": {"arms": arms}, "digits_cg": {"arms": arms}}}
    changes |= {"tables": {"table_digits": {"arms": None}, "table_digits_quality": {"arms": None}}}
    changes |= {"figures": {f: {"arm": "features_k7"} for f in ("fig_digits_samples", "fig_digits_pca")}}
    before, after = Plan(parsed()), Plan(parsed(changes))
    assert addresses(before, *keep) == addresses(after, *keep)
    searched = [
        {a.address for a in plan.ancestors(["table_digits"]) if a.stage in ("neighbours", "postprocessor")}
        for plan in (before, after)
    ]
    assert searched[0]
    assert not searched[0] & searched[1]


def test_a_seed_repeats_everything_trained_or_drawn_and_redraws_data_and_judges(parsed):
    one, two = Plan(parsed()), Plan(parsed({"seeds": [0, 1]}))
    new = [two.at(a) for a in addresses(two) - addresses(one)]
    assert {a.params.get("seed", 1) for a in new} == {1, REPLICA + 1}
    assert {a.stage for a in new} == {
        "denoiser", "classifier", "samples", "neighbours", "postprocessor", "postprocessed", "measures", "table",
        "trajectories", "figure", "dataset", "page",
    }  # fmt: skip
    assert {a.params["part"] for a in new if a.stage == "classifier"} == {"train", "judge"}
    by_seed = {(a.params["kind"], a.params["seed"]) for a in two.artefacts.values() if a.stage == "dataset"}
    assert by_seed >= {("digits", 0), ("digits", 1), ("fractal", 0), ("fractal", 1)}


def test_a_dataset_with_a_seed_of_its_own_is_the_same_for_every_training_seed(parsed):
    plan = Plan(parsed({"seeds": [0, 1], "datasets": {"digits": {"seed": 7}}}))
    assert {a.params["seed"] for a in plan.artefacts.values() if a.params.get("kind") == "digits"} == {7}


def test_one_flow_per_scale_has_its_own_pool(parsed):
    arm = {"space": "features", "k": 20, "postprocessor": "digits", "train_on": "own_scale"}
    plan = Plan(
        parsed(
            {
                "experiments": {
                    "digits_cfg": {"arms": [*Plan(parsed()).study.experiments["digits_cfg"].plain()["arms"], arm]}
                }
            }
        )
    )
    ancestors = plan.ancestors(["table_digits", "table_digits_nn"])
    own = [a for a in ancestors if a.stage == "samples" and a.params["purpose"] == "pool"]
    assert sorted(a.params["scales"] for a in own if a.label.startswith("cfg")) == [
        [1, 2, 3],
        [2.25],
        [2.5],
        [2.75],
    ]
    assert {a.params["n"] for a in own} == {6000}


def test_execution_settings_change_no_address(parsed):
    changes = {"execution": {"threads": 2, "checkpoint_seconds": 5.0, "inference_batch": 17}}
    assert addresses(Plan(parsed(changes))) == addresses(Plan(parsed()))


@pytest.mark.parametrize(
    "change",
    [
        {"fig_1": {"colours": ["#000000", "#999999"]}},
        {"fig_5": {"title": "another label"}},
        {"fig_4": {"n": 500}},
        {"fig_gap": {"title": "gaps"}},
        {"fig_scale": {"colours": ["#000000", "#999999"]}},
    ],
    ids=str,
)
def test_a_colour_or_a_label_redraws_its_figure_and_trains_nothing(parsed, change):
    before, after = addresses(Plan(parsed())), addresses(Plan(parsed({"figures": change})))
    assert {a.rsplit("-", 1)[0] for a in after - before} == {*(f"figure/{name}" for name in change), "page/report"}


def test_flows_of_points_share_their_pool_and_learn_from_as_many_generations_each(parsed):
    plan = Plan(parsed())
    flows = [a for a in plan.ancestors(["fig_s1"]) if a.stage == "postprocessor"]
    assert sorted(flow.params["scales"] for flow in flows) == [[1], [1, 2, 3], [2], [2.5], [3]]
    assert {flow.params["n"] for flow in flows} == {8000}
    assert len({flow.inputs["samples"].address for flow in flows}) == 1
    (pool,) = {flow.inputs["samples"] for flow in flows}
    assert (pool.params["scales"], pool.params["n"]) == ([1, 2, 3, 2.5], 32000)


def test_a_new_scale_of_points_remakes_its_own_experiment_alone(parsed):
    """All scales of such an experiment share artefacts, its flows' pool too: few jobs, bought with this."""
    scales = {"experiments": {"fractal_c_cfg": {"evaluation": {"scales": [1, 2, 2.5, 3, 4]}}}}
    before, after = Plan(parsed()), Plan(parsed(scales))
    kept = "dataset", "denoiser", "classifier", "trajectories"
    assert addresses(before, *kept) == addresses(after, *kept)
    new = [after.at(a) for a in addresses(after) - addresses(before)]
    assert not [a.about for a in new if a.stage not in ("table", "figure", "page") and "fractal_c_cfg" not in a.about]
    assert {a.stage for a in new} == {
        "samples",
        "neighbours",
        "postprocessor",
        "postprocessed",
        "measures",
        "table",
        "figure",
        "page",
    }


def test_names_of_experiments_and_networks_change_no_trained_artefact(default, parsed):
    import yaml
    from guidance_study.config.loading import parse

    text = yaml.safe_dump(default).replace("digits_cfg", "renamed").replace("mlp_flow", "flow_net")
    text = text.replace("digits_conditional", "base")
    trained = "denoiser", "classifier", "samples", "neighbours", "postprocessor", "postprocessed"
    assert addresses(Plan(parse(yaml.safe_load(text))), *trained) == addresses(Plan(parsed()), *trained)


def test_a_whole_number_scale_is_the_same_scale_as_a_decimal(parsed):
    changes = {"experiments": {"digits_cfg": {"pool": {"scales": [1.0, 2.0, 3.0]}}}}
    assert addresses(Plan(parsed(changes))) == addresses(Plan(parsed()))


def test_unknown_address_is_named(parsed):
    with pytest.raises(KeyError, match="samples/none"):
        Plan(parsed()).at("samples/none")


def test_canonical_json_ignores_order_and_refuses_nan():
    assert recipe_key({"a": 1, "b": [1.5]}) == recipe_key({"b": [1.5], "a": 1})
    assert canonical({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'
    with pytest.raises(ValueError):
        canonical({"a": float("nan")})


def test_growth_is_about_linear(parsed):
    """Ten times the scales cost about ten times the planning, as a ratio within this run."""

    def seconds(n: int) -> float:
        many, one = [2.5, *(10 + i / 7 for i in range(n))], [2.5]
        scales = {"digits_cfg": {"evaluation": {"scales": many}}, "digits_cg": {"evaluation": {"scales": one}}}
        study = parsed({"experiments": scales})
        began = time.process_time()
        Plan(study)
        return time.process_time() - began

    seconds(20)
    assert min(seconds(1000) for _ in range(3)) < 40 * min(seconds(100) for _ in range(3))


def test_the_papers_studies_are_planned_without_any_data(tmp_path, monkeypatch):
    """config/paper.yaml: every figure and table, sizes, and a remedy for each file that is missing from outside."""
    monkeypatch.chdir(tmp_path)
    plan = Plan(parse(merge(read(TOP / "config.yaml"), read(TOP / "config" / "paper.yaml"))))
    targets = ["table_2", "table_2_base", "table_s1", "table_cost", "fig_6", "fig_s2", "fig_s3", "fig_s5", "fig_8"]
    assert set(targets) < set(plan.study.all)
    lines = list(status(plan, plan.study.all, tmp_path / "results"))
    assert lines[-1].startswith("0 exists, ")
    missing = [line for line in lines if line.startswith("missing for ")]
    download = "run: snakemake --cores 1 download (with the same --configfile), or get https://"
    for said in (
        f"mnist/train-images-idx3-ubyte.gz' is missing; {download}",
        f"cifar-10-python.tar.gz' is missing; {download}",
        f"inception-2015-12-05.pt' is missing; {download}",
        "edm-cifar10-32x32-cond-vp.safetensors' is missing; put it there, then run: python -m guidance_study pin",
        "folder 'data/imagenet' is missing; put the images there as <class>/<image>",
    ):
        assert sum(said in line for line in missing) == 1, said
    jobs = next(line for line in lines if line.startswith("jobs: "))
    assert " samples, " in jobs
    assert jobs.endswith(" GB")
    generations = next(line for line in lines if "cifar_edm: 150000 generations at scale 2.25" in line)
    assert "1.84 GB" in generations  # 150000 x 3 x 32 x 32 x 4 bytes
    assert not any(line.startswith("to make") and "mnist" in line for line in lines)
    assert plan.study.models["cifar_edm"].training.precision == "float32"  # the paper's 1.850 and 1.849 are that near


def test_a_pretrained_base_is_one_artefact_for_all_seeds_and_needs_no_data():
    config = merge(merge(read(TOP / "config.yaml"), read(TOP / "config" / "paper.yaml")), {"seeds": [0, 1]})
    config["classifiers"]["mnist_evaluator"]["seed"] = 7
    plan = Plan(parse(config))
    outside = [a for a in plan.ancestors(["table_2_base"]) if a.stage == "denoiser" and a.params["weights"]]
    assert len(outside) == 1
    assert outside[0].inputs == {}
    assert outside[0].params["class_rows"] == 11  # a class-conditional DDPM++ always has "no class", all zeros
    assert list(outside[0].params["weights"]) == ["sha256", "path"]  # not pinned yet: the path keeps files apart


def test_another_place_of_the_same_files_is_no_other_recipe():
    config = merge(read(TOP / "config.yaml"), read(TOP / "config" / "paper.yaml"))
    moved = merge(config, {"datasets": {"cifar10": {"root": "/elsewhere"}}})
    assert set(Plan(parse(config)).artefacts) == set(Plan(parse(moved)).artefacts)


def test_a_rule_that_asks_for_a_second_denoiser_is_planned_with_it(parsed):
    from guidance_study.config.loading import ConfigError

    weak = {"dataset": "digits", "process": "ddpm_image", "network": "mlp", "conditional": True, "class_dropout": 0.0,
            "training": {"steps": 100, "batch_size": 128, "lr": 1.0e-3}}  # fmt: skip
    guidance = {"kind": "autoguidance", "guide": "digits_weak"}
    changes = {"models": {"digits_weak": weak}, "experiments": {"digits_auto": {
        "model": "digits_conditional", "guidance": guidance, "sampler": {"kind": "ddim", "steps": 5},
        "pool": {"scales": [1], "n": 10}, "evaluation": {"scales": [2], "repeats": 1, "n": 60}, "arms": [],
        "evaluator": "digits_evaluator",
    }}}  # fmt: skip
    plan = Plan(parsed(changes))
    samples = plan.evaluated("digits_auto", (2.0,), 0)
    assert {role for role in samples.inputs if "denoiser" in samples.inputs[role].address} == {"denoiser", "guide"}
    assert samples.inputs["guide"].params["training"]["steps"] == 100
    with pytest.raises(ConfigError, match=r"guide.*nobody.*allowed are"):
        parsed({**changes, "experiments": {"digits_auto": changes["experiments"]["digits_auto"] | {
            "guidance": guidance | {"guide": "nobody"}}}})  # fmt: skip
