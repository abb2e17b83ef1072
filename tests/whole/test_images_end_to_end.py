"""The paper's image studies, tiny, on files of the real formats: MNIST, CIFAR-10 on both bases, a folder of images."""

import json

import image_files
import numpy as np
import pandas as pd
import pytest
import weight_files
from conftest import TOP, command_line, digests, merge, project, read
from guidance_study.store.artefacts import Store
from random_weights import build, drawn

pytestmark = pytest.mark.slow

SHORT = {"training": {"steps": 2, "batch_size": 4, "warmup": 0}}
UNET = {"model_channels": 16, "num_res_blocks": 1, "channel_mult": [1, 2], "attention_resolutions": [2],
        "num_head_channels": 8}  # fmt: skip
LOOSE = {"solver": {"rtol": 0.1, "atol": 0.1, "block": 16}}
FEW = {"pool": {"n": 30}, "evaluation": {"repeats": 2, "n": 20, "manifold_k": 1, "scales": [2.5]}}
FLOW = {"scales": [2.5], "spaces": ["inception"], "per_class": False}
TARGETS = [
    "table_2",
    "table_2_quality",
    "table_s1",
    "table_mnist",
    "table_cost",
    "fig_6",
    "fig_s5",
    "fig_8",
    "table_adm",
    "fig_8_adm",
]
ADM = {"model_channels": 32, "num_res_blocks": 1, "channel_mult": [1, 2], "attention_resolutions": [2],
       "num_head_channels": 16}  # fmt: skip


def adm(folder) -> dict:
    """What is tiny of config/adm.yaml, and its two files of weights with guided-diffusion's names, drawn at random."""
    overlay = merge(read(TOP / "config" / "adm.yaml"), {
        "networks": {"adm_64": ADM}, "classifiers": {"adm_noisy": {"network": ADM}},
        "experiments": {"adm": {"sampler": {"steps": 3}, "pool": {"n": 20}, "evaluation": {"n": 20, "manifold_k": 1}}},
        "figures": {"fig_8_adm": {"n": 3, "k": 2}},
    })  # fmt: skip
    shape = (3, 16, 16)
    unet = drawn(build(overlay["networks"]["adm_64"], shape, 2))
    noisy = drawn(build(overlay["classifiers"]["adm_noisy"]["network"], shape, 2, True)).state_dict()
    overlay["models"]["adm"]["weights"] = weight_files.written(folder / "unet.safetensors", unet.state_dict())
    overlay["classifiers"]["adm_noisy"]["weights"] = weight_files.written(
        folder / "noisy.safetensors", weight_files.adm_classifier(noisy)
    )
    return overlay


def tiny_images(folder) -> dict:
    """config/paper.yaml and config/adm.yaml on small files, with small networks."""
    weights = folder / "weights"
    weights.mkdir(parents=True)
    vit, vae = weight_files.write_vit(weights / "vit.safetensors"), weight_files.write_vae(weights / "vae.safetensors")
    inception = weight_files.write_inception(weights / "inception.pt", 2048)
    resnet = weight_files.write_timm(weights / "resnet.safetensors", "resnet10t")
    dinov2 = {"model": weight_files.VIT, "resize": 28, "weights": vit}
    changes = {
        "datasets": {
            "mnist": image_files.mnist_entry(folder / "mnist", per_class=22),
            "cifar10": image_files.cifar10_entry(folder / "cifar10", per_class=40, held_out=5),
            "imagenet": image_files.image_folder_entry(folder / "images", classes=2, per_class=8, size=16),
        },
        "networks": {
            "unet_mnist": UNET, "unet_flow": UNET, "unet_post": UNET,
            "ddpmpp": {"model_channels": 8, "channel_mult": [1, 2], "num_blocks": 1},
            "ddpmpp_64": {"model_channels": 8, "channel_mult": [1, 2], "num_blocks": 1, "attn_resolutions": [8]},
        },
        "models": {f"mnist_{kind}": SHORT for kind in ("conditional", "unconditional")}
        | dict.fromkeys(("cifar_edm", "cifar_flow", "imagenet"), SHORT),
        "classifiers": {"mnist_noisy": SHORT, "mnist_evaluator": {**SHORT, "network": {"channels": 4, "features": 8}}},
        "embeddings": {
            "inception": {"weights": inception}, "dinov2_cls": dinov2, "dinov2_patch": dinov2,
            "supervised": {"model": "resnet10t", "resize": 32, "weights": resnet},
            "vae": {"resize": 16, "weights": vae},
        },
        "postprocessors": {name: {**SHORT, **LOOSE} for name in ("mnist", "cifar_edm", "cifar_flow")},
        "experiments": {
            "mnist_cg": {**FEW, "sampler": {"steps": 2, "clip_x0": "after_guidance"}},
            "mnist_cfg": {**FEW, "sampler": {"steps": 2, "clip_x0": "after_guidance"}},
            "cifar_edm": {**FEW, "sampler": {"steps": 2}},
            "cifar_flow": merge(FEW, {"sampler": {"rtol": 0.1, "atol": 0.1, "block": 16}, "evaluation": FLOW}),
            "imagenet": {"sampler": {"steps": 2}, "evaluation": {"n": 10}},
        },
        "tables": {
            "table_2": {"scales": [2.5]}, "table_cost": {"batches": [1, 3]},
        },
        "figures": {
            **{name: {"scale": 2.5} for name in ("fig_6", "fig_s2", "fig_s3")}, "fig_8": {"n": 3, "k": 2},
            "fig_s5": {"scale": 2.5, "per_class": 4},
        },
    }  # fmt: skip
    config = merge(merge(merge(read(TOP / "config.yaml"), read(TOP / "config" / "paper.yaml")), adm(weights)), changes)
    for name in ("fig_6", "fig_s5"):
        config["figures"][name]["arm"] = "pixel_k20"
    for name in ("mnist_cg", "mnist_cfg"):
        config["experiments"][name]["arms"] = [{"space": "pixel", "k": 20, "postprocessor": "mnist"}]
    config["figures"] = {name: figure for name, figure in config["figures"].items() if name in TARGETS}
    config["tables"] = {name: table for name, table in config["tables"].items() if name in TARGETS}
    return config | {"all": TARGETS, "trajectories": {}}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A finished run of every target: (folder, configuration)."""
    tmp = tmp_path_factory.mktemp("images")
    config = tiny_images(tmp / "data")
    folder = project.__wrapped__(tmp)(config)
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, config


def test_every_table_and_figure_is_there(built):
    folder, _ = built
    for name in TARGETS:
        kind = "tables" if name.startswith("table") else "figures"
        assert (folder / "results" / kind / f"{name}.{'md' if kind == 'tables' else 'png'}").stat().st_size > 300
    stages = {address.split("/")[0] for address in digests(folder)}
    assert {"dataset", "features", "statistics", "neighbours", "postprocessed", "measures", "cost"} <= stages


def test_fid_follows_from_the_images_through_clean_fids_network(built):
    """The table's FID, recomputed from the stored images as clean-fid would see them."""
    import torch
    from cleanfid.inception_torchscript import InceptionV3W
    from guidance_study.metrics.frechet import Gaussian, frechet_distance

    folder, config = built
    store = Store(folder / "results")
    samples = next(a for a in store.addresses() if a.startswith("samples/cfg-2.5") and "sh-3-32" in shape(store, a))
    train = next(a for a in store.addresses() if a.startswith("dataset/cifar10"))
    weights = config["embeddings"]["inception"]["weights"]["path"]
    link = folder / "inception-2015-12-05.pt"
    link.symlink_to(weights)
    network = InceptionV3W(str(folder), download=False, resize_inside=True)

    def statistics(images):
        with torch.no_grad():
            pixels = torch.from_numpy(np.rint((images + 1) * 127.5).clip(0, 255).astype(np.float32))
            features = network(pixels).numpy()
        return Gaussian.of(features)

    real = statistics(np.load(store.open(train) / "train.npy"))
    blocks = np.array_split(np.load(store.open(samples) / "samples.npy"), 2)
    expected = np.mean([frechet_distance(statistics(block), real) for block in blocks])
    tables = [pd.read_csv(folder / "results" / "tables" / f"{name}.csv") for name in ("table_2", "table_s1")]
    found = [t.query("state == 'before' and scale == 2.5")["mean"].iloc[0] for t in tables]
    assert any(f == pytest.approx(expected, rel=1e-3) for f in found)


def shape(store, address: str) -> str:
    """Shape of an artefact's samples, as a word."""
    sizes = np.load(store.root / address / "samples.npy", mmap_mode="r").shape[1:]
    return "sh-" + "-".join(map(str, sizes))


def test_the_papers_numbers_stand_beside_ours(built):
    folder, _ = built
    text = (folder / "results" / "tables" / "table_2.md").read_text()
    assert "paper 9.402" in text
    assert "paper 5.936" in text
    text = (folder / "results" / "tables" / "table_s1.md").read_text()
    for printed in ("paper 41.58", "paper 25.96", "paper 22.97", "paper 20.19", "paper 20.1"):
        assert printed in text
    assert "2 disjoint repeats of 20 generations" in text
    assert "clean-fid's Inception" in text
    cost = (folder / "results" / "tables" / "table_cost.md").read_text()
    assert "| paper, A100 |" in cost
    assert "the error of each sample within the tolerances" in cost  # on which the evaluations depend


def test_adaptive_sampling_counts_its_evaluations_block_by_block(built):
    folder, _ = built
    store = Store(folder / "results")
    manifests = [store.manifest(a) for a in store.addresses() if a.startswith("samples/")]
    by_kind = {m["recipe"]["params"]["sampler"]["kind"]: m["facts"]["nfe"] for m in manifests}
    assert by_kind["heun"] == 3
    assert by_kind["ddim"] == 2
    assert isinstance(by_kind["dopri5"], list)
    assert min(by_kind["dopri5"]) >= 7


def test_per_class_distances_are_in_the_measures(built):
    folder, _ = built
    store = Store(folder / "results")
    path = next(store.root / a for a in store.addresses() if a.startswith("measures/cfg") and has_classes(store, a))
    rows = [r for r in json.loads((path / "measures.json").read_text())["rows"] if r["label"] is not None]
    assert {row["label"] for row in rows} == set(range(10))
    assert {row["space"] for row in rows} == {"inception", "dinov2_cls"}
    assert {row["metric"] for row in rows} == {"frechet"}


def has_classes(store, address: str) -> bool:
    return any(metric.get("per_class") for metric in store.manifest(address)["recipe"]["params"]["metrics"])


def test_a_missing_dataset_stops_its_own_targets_only(built, tmp_path):
    folder, config = built
    broken = merge(config, {"datasets": {"cifar10": {"root": str(tmp_path / "nowhere")}}})
    other = project.__wrapped__(tmp_path)(broken, "broken")
    lines = command_line(other, "plan", "table_s1", "fig_6").stdout.splitlines()
    assert any(
        line.startswith("missing  dataset/cifar10") and "cifar-10-python.tar.gz' is missing" in line for line in lines
    )
    assert any(line.startswith("to make  dataset/mnist") for line in lines)
    (other / "results").symlink_to(folder / "results")
    assert command_line(other, "run", "fig_6").returncode == 0


@pytest.mark.parametrize("mistake", ["digest", "weights"])
def test_wrong_files_are_one_sentence_and_leave_nothing(built, tmp_path, mistake):
    _, config = built
    if mistake == "digest":
        wrong = merge(config, {"datasets": {"mnist": {"sha256": {"train-images-idx3-ubyte": "0" * 64}}}})
        target, said = "fig_6", "pinned is 0000"
    else:
        vae = config["embeddings"]["vae"]["weights"]
        wrong = merge(config, {"embeddings": {"dinov2_cls": {"weights": vae}}})
        target, said = "fig_8", "holds no weights of"
    folder = project.__wrapped__(tmp_path)(wrong)
    done = command_line(folder, "run", target)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]
    finished = digests(folder)
    assert not any(address.startswith(("figure/", "neighbours/timm")) for address in finished)
    assert not any((folder / "results" / ".tmp").glob("*/*"))
