"""`guidance_study.load`: by name, address or file, verified, and generating what the study itself generates."""

import shlex
import shutil
import subprocess
import sys
from dataclasses import replace

import guidance_study
import numpy as np
import pytest
import torch
import yaml
from conftest import TINY, TINY_POINTS, TOP, environment
from guidance_study.config import seams
from guidance_study.config.loading import merge, parse, read
from guidance_study.execution import jobs
from guidance_study.execution.job import Job
from guidance_study.guidance.classifier_free import ClassifierFree
from guidance_study.networks.models import save_weights
from guidance_study.plan.plan import Plan
from guidance_study.store.artefacts import DamagedArtefact, Store
from guidance_study.support.errors import StudyError


class Study:
    """A tiny study in a folder, of which `wanted` is made."""

    def __init__(self, folder):
        self.results, self.config = folder / "results", folder / "config.yaml"
        config = merge(merge(read(TOP / "config.yaml"), TINY_POINTS), TINY)
        self.config.write_text(yaml.safe_dump(config, sort_keys=False))
        self.plan = Plan(parse(config))

    def make(self, *wanted):
        for target in wanted:
            for artefact in target.ancestors():
                if not Store(self.results).has(artefact):
                    jobs.run_job(artefact.recipe, artefact.address, self.results)

    def load(self, what, **options):
        return guidance_study.load(what, **{"config": self.config, "results": self.results} | options)

    def array(self, artefact, name="samples.npy") -> torch.Tensor:
        return torch.from_numpy(np.load(self.results / artefact.address / name))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = Study(tmp_path_factory.mktemp("loading"))
    plan, experiments = made.plan, made.plan.study.experiments
    arm = experiments["digits_cfg"].arms[1]
    made.make(plan.postprocessed("digits_cfg", arm, (2.5,), 0), plan.evaluated("digits_cg", (2.5,), 0))
    return made


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, guidance_study; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=environment() | {"PYTHONPATH": str(TOP / "workflow")}, check=True)


@pytest.mark.parametrize("name", ["digits_cfg", "digits_cg"])
def test_an_experiment_generates_what_the_study_evaluates(study, name):
    expected = study.array(study.plan.evaluated(name, (2.5,), 0))
    found = study.load(name).sample(len(expected), scale=2.5)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def test_an_arm_postprocesses_as_the_study_does(study):
    arm = study.plan.study.experiments["digits_cfg"].arms[1]
    before = study.array(study.plan.evaluated("digits_cfg", (2.5,), 0))
    after = study.array(study.plan.postprocessed("digits_cfg", arm, (2.5,), 0))
    torch.testing.assert_close(study.load(f"digits_cfg/{arm.name}").postprocess(before), after)


def test_a_class_dropped_model_is_guided_without_a_classifier(study):
    model = study.load("digits_conditional")
    assert isinstance(model.guidance, ClassifierFree)
    assert (model.classes, model.dataset.kind, model.process.timesteps) == (10, "digits", 1000)
    same = replace(study.load("digits_cfg"), sampler=model.sampler)
    torch.testing.assert_close(model.sample(3, scale=2), same.sample(3, scale=2))


def test_labels_of_all_or_of_each(study):
    model = study.load("digits_cfg")
    in_turn = model.sample(20, scale=2)
    torch.testing.assert_close(model.sample(20, scale=2, label=3)[[3, 13]], in_turn[[3, 13]])
    torch.testing.assert_close(model.sample(3, scale=2, label=[0, 1, 2]), in_turn[:3])
    assert not torch.equal(model.sample(3, scale=2, seed=1), in_turn[:3])


def test_addresses_and_files_lead_to_the_same_network(study, tmp_path, monkeypatch):
    address = study.plan.denoiser("digits_conditional", 0).address
    copy = shutil.copy(study.results / address / "weights.safetensors", tmp_path / "mine.safetensors")
    expected = study.load("digits_conditional").sample(5, scale=2)
    for what in (address, study.results / address, study.results / address / "weights.safetensors", copy):
        loaded = study.load(what)
        torch.testing.assert_close(loaded.sample(5, scale=2), expected)
        assert loaded.dataset.kind == "digits"
    monkeypatch.chdir(study.results.parent)
    torch.testing.assert_close(guidance_study.load(f"results/{address}").sample(5, scale=2), expected)


def test_exported_classifiers_and_flows_load_from_the_file_alone(study, tmp_path):
    plan = study.plan
    flow = plan.postprocessor("digits_cfg", plan.study.experiments["digits_cfg"].arms[1], 2.5, 0)
    for artefact, what in [(plan.classifier("digits_noisy", 0), "digits_noisy"), (flow, "digits_cfg/features_k20")]:
        file = shutil.copy(study.results / artefact.address / "weights.safetensors", tmp_path)
        alone, named = study.load(file), study.load(what)
        assert alone.params == artefact.params
        for ours, theirs in zip(alone.network.parameters(), named.network.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
    assert alone.output_scale == named.output_scale


def test_what_is_not_made_names_the_command_that_makes_it(study, tmp_path):
    with pytest.raises(
        StudyError, match=r"model gauss_far: trained for 20 steps, seed 0 is not made yet in '.*'; make it: python -m"
    ) as said:
        study.load("gauss_far", results=tmp_path / "new")
    command = shlex.split(str(said.value).split("make it: ")[1])
    env = environment() | {"PYTHONPATH": str(TOP / "workflow")}
    subprocess.run([sys.executable, *command[1:]], env=env, check=True, capture_output=True)
    assert study.load("gauss_far", results=tmp_path / "new").sample(4, scale=5, label=1).shape == (4, 1)


def test_damaged_weights_are_refused(study, tmp_path):
    root = tmp_path / "results"
    address = study.plan.denoiser("digits_conditional", 0).address
    shutil.copytree(study.results / address, root / address)
    weights = root / address / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    for what in ("digits_conditional", address, weights):
        with pytest.raises(DamagedArtefact, match="its SHA-256 is not the one in its manifest"):
            study.load(what, results=root)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("digits_cgf", "'digits_cgf' is no address, and no experiment, model or classifier; there are digits_cfg"),
        ("digits_cfg/pixels_k7", "'digits_cfg' has no arm 'pixels_k7'; its arms are pixels_k20, features_k20"),
        ("fractal_c_cfg/points_k20_own", "name one of fractal_c_cfg/points_k20_own/1, "),
        ("denoiser/mlp-0", "'denoiser/mlp-0' is not made yet"),
        ("none.safetensors", "'none.safetensors' is not there"),
    ],
)
def test_names_that_lead_nowhere(study, what, said):
    with pytest.raises(StudyError) as error:
        study.load(what)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_no_model_can_do(study):
    with pytest.raises(StudyError, match="seed 3 is not trained: the configuration's are 0"):
        study.load("digits_cfg", seed=3)
    with pytest.raises(StudyError, match="label 10 is no class: classes are 0 to 9"):
        study.load("digits_cfg").sample(1, label=10)
    with pytest.raises(StudyError, match="labels of shape"):
        study.load("digits_cfg").sample(2, label=[1, 2, 3])
    bare = study.load("digits_unconditional")
    assert bare.guidance is None
    assert bare.sample(2).shape == (2, 1, 8, 8)
    with pytest.raises(StudyError, match="no guidance, so its scale is 1, not 2"):
        bare.sample(1, scale=2)
    with pytest.raises(StudyError, match="takes no class"):
        bare.sample(1, label=0)


@pytest.mark.parametrize(
    "process", [{"kind": "ddpm"}, {"kind": "ddpm", "betas": "cosine"}, {"kind": "edm"}, {"kind": "rectified_flow"}]
)
def test_a_file_of_any_process_samples(study, tmp_path, process):
    params = study.plan.denoiser("gauss_far", 0).params | {"process": process}
    state = seams.parse("networks", params["network"]).build((1,), params["class_rows"]).state_dict()
    save_weights(state, Job(params, {}, tmp_path, tmp_path), "denoiser")
    model = study.load(tmp_path / "weights.safetensors")
    found = model.sample(6, scale=2, label=[0, 1, 1, 0, 1, 0])
    assert found.shape == (6, 1)
    torch.testing.assert_close(model.sample(6, scale=2, label=torch.tensor([0, 1, 1, 0, 1, 0])), found)
    assert model.dataset is None
    model.sampler.check("sampler", "its own", model.process)  # so that an experiment would take it


def test_a_file_whose_weights_are_of_another_network(study, tmp_path):
    params = study.plan.denoiser("digits_conditional", 0).params
    save_weights({"a": torch.zeros(1)}, Job(params, {}, tmp_path, tmp_path), "denoiser")
    with pytest.raises(StudyError, match="does not fit the network that it says it is of"):
        study.load(tmp_path / "weights.safetensors")
