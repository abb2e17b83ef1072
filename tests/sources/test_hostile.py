"""Every file from outside, at every door: hostile pickles run nothing, a file of another kind is one sentence."""

import gzip
import os
import pickle
from pathlib import Path

import image_files
import numpy as np
import pytest
import torch
import weight_files
from guidance_study.config import seams
from guidance_study.config.weights import Weights
from guidance_study.networks.models import exported, filled, outside
from guidance_study.networks.models.weights import WeightsError, read_weights
from guidance_study.sources.archives import BrokenArchive
from guidance_study.sources.rawfiles import PLACES, sha256_of_content
from guidance_study.support.errors import StudyError
from guidance_study.support.reading import read_array, read_json
from guidance_study.support.writing import sha256
from guidance_study.training import checkpoints
from random_weights import build, drawn
from safetensors.torch import save_file

SONG = {"kind": "song_unet", "model_channels": 8, "channel_mult": [1, 2], "num_blocks": 1, "attn_resolutions": [8]}
UNET = {"kind": "unet", "model_channels": 32, "num_res_blocks": 1, "channel_mult": [1, 2]}
MLP = {"kind": "residual_mlp", "width": 16, "blocks": 1}
SHAPE, ROWS = (3, 16, 16), 11


class Payload:
    """What a hostile pickle holds: a call, made when it is read."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def network_file(path: Path, spec: dict) -> None:
    save_file(drawn(build(spec, SHAPE, ROWS)).state_dict(), path)


# Layout -> what writes a file of it.
FILES = {
    "inception": weight_files.write_inception,
    "timm": lambda path: weight_files.write_timm(path, "resnet10t"),
    "vae": weight_files.write_vae,
    "song_unet": lambda path: network_file(path, SONG),
    "unet": lambda path: network_file(path, UNET),
    "residual_mlp": lambda path: network_file(path, MLP),
    "mnist images": lambda path: _moved(path, "train-images-idx3-ubyte.gz"),
    "mnist labels": lambda path: _moved(path, "train-labels-idx1-ubyte.gz"),
    "cifar10": lambda path: (image_files.write_cifar10(path.parent), (path.parent / CIFAR).rename(path)),
    "torch.save": lambda path: torch.save({"a": torch.ones(2)}, path),
    "numpy": lambda path: np.save(path.open("wb"), np.ones(3)),
    "JSON": lambda path: path.write_text("{}"),
    "text": lambda path: path.write_text("<html>404</html>"),
    "nothing": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(10000)),
}
CIFAR = "cifar-10-python.tar.gz"


def _moved(path: Path, name: str) -> None:
    image_files.write_mnist(path.parent / "mnist", 8, 4, 10)
    (path.parent / "mnist" / name).rename(path)


def weights_of(path: Path) -> dict:
    return {"path": str(path), "sha256": sha256(path)}


def embedding(kind: str, **entry):
    return lambda path: seams.parse("embeddings", {"kind": kind, **entry, "weights": weights_of(path)}).network()


def network(spec: dict):
    return lambda path: outside(seams.parse("networks", spec), build(spec, SHAPE, ROWS), Weights(**weights_of(path)))


def mnist(path: Path, name: str):
    folder = path.parent / "read"
    digests = image_files.write_mnist(folder, 8, 4, 10)
    (folder / name).write_bytes(path.read_bytes())
    counts = {"train_counts": [8] * 10, "held_out_counts": [4] * 10}
    try:
        digest = sha256_of_content(path, 2**28)
    except BrokenArchive:  # then no digest fits, and it is refused before it is compared
        digest = sha256(path)
    entry = {"kind": "mnist", "root": str(folder), "sha256": digests | {name.removesuffix(".gz"): digest}}
    return seams.parse("datasets", entry | counts).load()


def cifar10(path: Path):
    folder = path.parent / "read"
    folder.mkdir(exist_ok=True)
    (folder / CIFAR).write_bytes(path.read_bytes())
    counts = {"train_counts": [5] * 10, "held_out_counts": [2] * 10}
    entry = {"kind": "cifar10", "root": str(folder), "sha256": sha256(path)}
    return seams.parse("datasets", entry | counts).load()


# Layout -> what reads a file of it.
DOORS = {
    "inception": embedding("inception"),
    "timm": embedding("timm", model="resnet10t", pool="features", resize=32),
    "vae": embedding("vae"),
    "song_unet": network(SONG),
    "unet": network(UNET),
    "residual_mlp": network(MLP),
    "mnist images": lambda path: mnist(path, "train-images-idx3-ubyte.gz"),
    "mnist labels": lambda path: mnist(path, "train-labels-idx1-ubyte.gz"),
    "cifar10": cifar10,
    "an export": exported,
    "a checkpoint": lambda path: checkpoints.read(path, torch.device("cpu")),
    "numpy": read_array,
    "JSON": read_json,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each layout."""
    made = {}
    for name, write in FILES.items():
        made[name] = tmp_path_factory.mktemp("files") / f"{name.replace(' ', '_')}.bin"
        write(made[name])
    return made


@pytest.fixture(autouse=True)
def no_places(monkeypatch):
    monkeypatch.setenv(PLACES, "{}")


@pytest.mark.parametrize("layout", DOORS)
def test_each_door_takes_its_own_layout_and_says_of_every_other_what_is_wrong(files, tmp_path, layout):
    for name, file in files.items():
        path = tmp_path / name.replace(" ", "_") / "file.bin"
        path.parent.mkdir()
        path.write_bytes(file.read_bytes())
        if name == layout:
            assert DOORS[layout](path) is not None
            continue
        with pytest.raises(StudyError) as caught:
            DOORS[layout](path)
            pytest.fail(f"{name} was taken for {layout}")
        assert "\n" not in str(caught.value), f"{name} as {layout}: {caught.value}"
        assert str(path.parent) in str(caught.value), f"{name} as {layout}: {caught.value}"


@pytest.mark.parametrize("layout", DOORS)
def test_a_hostile_pickle_runs_nothing_at_any_door(tmp_path, layout):
    ran = tmp_path / "ran"
    made = pickle.dumps(Payload(ran))
    torch.save(Payload(ran), tmp_path / "torch.bin")
    np.save(tmp_path / "object.npy", np.array([Payload(ran)], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "object.npz", np.array([Payload(ran)], dtype=object))
    forms = {
        "pickle": made,
        "gzipped": gzip.compress(made),
        "torch": (tmp_path / "torch.bin").read_bytes(),
        "npy": (tmp_path / "object.npy").read_bytes(),
        "npz": (tmp_path / "object.npz").read_bytes(),
    }
    for name, content in forms.items():
        for suffix in (".safetensors", ".pt", ".pkl", ".npy", ".gz"):
            path = tmp_path / f"{name}{suffix}" / f"file{suffix}"
            path.parent.mkdir()
            path.write_bytes(content)
            with pytest.raises(StudyError):
                DOORS[layout](path)
    assert not ran.exists()


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "nothing there"])
@pytest.mark.parametrize("layout", ["an export", "a checkpoint", "numpy", "JSON"])
def test_what_is_no_file_is_a_sentence_and_not_waited_for(tmp_path, layout, kind):
    path = tmp_path / "file.bin"
    if kind != "nothing there":
        path.mkdir() if kind == "a folder" else os.mkfifo(path)
    with pytest.raises(StudyError, match=r"file\.bin'"):
        DOORS[layout](path)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool])
def test_whole_numbers_are_no_weights(tmp_path, dtype):
    network, path = build(MLP, SHAPE, ROWS), tmp_path / "whole.safetensors"
    name = next(iter(network.state_dict()))
    state = network.state_dict() | {name: torch.ones_like(network.state_dict()[name], dtype=dtype)}
    save_file(state, path)
    with pytest.raises(WeightsError, match=f"whole.safetensors' holds no weights of MLP: no real numbers has {name}"):
        filled(network, read_weights(path), path, "MLP")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    state = build(MLP, SHAPE, ROWS).state_dict()
    name = sorted(state)[0]
    state[name] = state[name].clone()
    state[name].flatten()[0] = value
    save_file(state, tmp_path / "bad.safetensors")
    with pytest.raises(WeightsError, match=rf"bad\.safetensors' holds weights that are not finite: {name}"):
        read_weights(tmp_path / "bad.safetensors")
