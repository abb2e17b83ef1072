"""What jobs ask for follows from a dataset's facts and from methods of networks and embeddings."""

from math import prod

import pytest
from guidance_study.config import seams
from guidance_study.config.facts import UNKNOWN, Facts
from guidance_study.plan import resources, sizes
from guidance_study.plan.plan import Plan
from guidance_study.plan.recipes import Artefact
from guidance_study.plan.sizes import expected_bytes

IMAGES = Facts((3, 64, 64), (5000,) * 10, (1000,) * 10, {})


def dataset(facts: Facts) -> Artefact:
    return Artefact("dataset", "new", {"kind": "new"}, facts=facts)


def test_a_new_dataset_is_priced_by_its_facts():
    new = dataset(IMAGES)
    assert sizes.rows(new) == 60_000
    assert sizes.numbers(new) == 3 * 64 * 64
    assert expected_bytes(new) == 60_000 * 3 * 64 * 64 * 4
    assert resources.runtime(new) > resources.runtime(dataset(Facts((2,), (50,), (50,), {})))
    network = seams.parse("networks", {"kind": "linear"}).plain()
    params = {"network": network, "shape": [3, 64, 64], "classes": 10, "training": {"batch_size": 1, "steps": 1}}
    held = resources.mem_mb(Artefact("classifier", "linear", params, {"dataset": new}))
    assert held > 2 * expected_bytes(new) / 1e6
    features = Artefact("features", "f", {"embedding": {"kind": "pixels"}, "part": "held_out"}, {"images": new})
    assert (sizes.rows(features), sizes.numbers(features)) == (10_000, 3 * 64 * 64)


def test_classes_that_nobody_has_counted_are_guessed():
    new = dataset(Facts((3, 64, 64), (UNKNOWN,) * 10, (UNKNOWN,) * 10, {}))
    assert sizes.rows(new) == 10 * (1300 + 50)


def test_datasets_of_the_study_are_priced_by_their_facts(parsed):
    plan = Plan(parsed())
    for name, spec in plan.study.datasets.items():
        facts = spec.parts()
        made = plan.dataset(name, 0)
        assert sizes.part_rows(made, "train") == sum(facts.train_counts)
        assert sizes.part_rows(made, "judge") == sum(facts.judge_counts)
        assert sizes.part_rows(made, "held_out") == sum(facts.held_out_counts)
        assert sizes.numbers(made) == prod(facts.shape)


@pytest.mark.parametrize(("resize", "width"), [(None, 4 * 8 * 8), (256, 4 * 32 * 32)])
def test_latents_shrink_with_the_images_that_the_autoencoder_sees(resize, width):
    params = {"embedding": {"kind": "vae", "resize": resize}, "part": "train"}
    assert sizes.numbers(Artefact("features", "vae", params, {"images": dataset(IMAGES)})) == width


def test_a_network_is_priced_by_its_method(monkeypatch):
    class Costly(seams.kinds("networks")["residual_mlp"]):
        def operations(self, shape):
            return 1e6 * prod(shape)

    monkeypatch.setitem(seams.kinds("networks"), "residual_mlp", Costly)
    training = {"batch_size": 10, "steps": 100}
    params = {"network": {"kind": "residual_mlp"}, "shape": [3, 64, 64], "training": training}
    assert resources.operations(Artefact("denoiser", "new", params)) == 3 * 10 * 100 * 1e6 * 3 * 64 * 64


def test_estimates_of_operations_are_near_published_ones():
    """EDM's CIFAR-10 network, 21 G multiplications and additions an image; DDPM's 35.7 M one, 6 G."""
    edm = {"kind": "song_unet", "model_channels": 128, "channel_mult": [2, 2, 2], "num_blocks": 4}
    ddpm = {"kind": "unet", "model_channels": 128, "channel_mult": [1, 2, 2, 2], "num_res_blocks": 2}
    for network, published in ((edm, 21e9), (ddpm, 6e9)):
        counted = seams.parse("networks", network).operations((3, 32, 32))
        assert counted == pytest.approx(2 * published, rel=0.3)


def test_weights_from_outside_are_priced_by_their_file(parsed, tmp_path):
    """In the job that takes them in, in every job that computes with them, and where features are made by them."""
    from guidance_study.sources.rawfiles import RawFile

    file = RawFile(tmp_path / "w.safetensors")
    params = Plan(parsed()).denoiser("digits_conditional", 0).params
    base = Artefact("denoiser", "outside", params | {"training": None}, {}, weights=file)
    sampled = Artefact("samples", "s", {"n": 10, "sampler": {"kind": "ddim"}}, {"denoiser": base})
    features = {"embedding": {"kind": "pixels"}, "part": "train"}
    spaces = Artefact("features", "f", features, {"images": dataset(IMAGES)}, weights=file)
    for artefact in (base, sampled, spaces):
        (tmp_path / "w.safetensors").unlink(missing_ok=True)
        before = resources.mem_mb(artefact)
        with (tmp_path / "w.safetensors").open("wb") as stream:
            stream.truncate(10**9)
        assert resources.mem_mb(artefact) == before + 2000


def test_every_part_with_weights_from_outside_knows_their_file(parsed):
    weights = {"path": "data/weights/w.safetensors", "sha256": "0" * 64}
    model = {"dataset": "digits", "process": "ddpm_image", "network": "mlp", "conditional": True, "weights": weights}
    judge = {"dataset": "digits", "network": {"kind": "mlp"}, "weights": weights}
    plan = Plan(parsed({"models": {"theirs": model}, "classifiers": {"theirs": judge}}))
    for artefact in (plan.denoiser("theirs", 0), plan.classifier("theirs", 0)):
        assert artefact.weights is not None
        assert str(artefact.weights.path) == weights["path"]
