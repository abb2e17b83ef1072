"""Checkpoints of others: what is imported computes what the original did, and a file runs nothing."""

import os
import pickle
import sys
import types
from collections import OrderedDict

import pytest
import torch
import weight_files
import yaml
from guidance_study.__main__ import main
from guidance_study.config import seams
from guidance_study.networks.models.weights import read_weights
from random_weights import build, drawn
from torch import nn

UNET = {"kind": "unet", "model_channels": 32, "num_res_blocks": 2, "channel_mult": [1, 2, 2],
        "attention_resolutions": [2], "norm_groups": 32}  # fmt: skip
SONG = {"kind": "song_unet", "model_channels": 16, "channel_mult": [1, 2], "num_blocks": 2, "attn_resolutions": [8]}


def classifier_state() -> dict:
    """guided-diffusion's noisy classifier, by its names."""
    spec = {**UNET, "kind": "unet_encoder", "resblock_updown": True}
    return weight_files.adm_classifier(build(spec, (3, 8, 8), 10, True).state_dict())


def inputs(network: nn.Module, shape: tuple[int, ...], rows: int) -> torch.Tensor:
    torch.manual_seed(0)
    label = torch.arange(3) % rows if rows else None
    with torch.no_grad():
        return network.eval()(torch.randn(3, *shape), torch.tensor([1.0, 10.0, 100.0]), label)


def imported(path, tmp_path, capsys, *more: str) -> tuple[dict, dict, str]:
    """(what to paste, the tensors, all that was said) of an import that worked."""
    out = tmp_path / "imported.safetensors"
    assert main(["weights", "import", str(path), "--out", str(out), *more]) == 0
    said = capsys.readouterr().out
    body = said[said.index("networks:" if "networks:" in said else "embeddings:") :]
    return yaml.safe_load(body), read_weights(out), said


def refused(capsys, *arguments: str) -> str:
    assert main(["weights", *map(str, arguments)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.parametrize("rows", [0, 10])
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: state,
        lambda state: {"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3},
        lambda state: {"net_model": {k: v + 1 for k, v in state.items()}, "ema_model": state, "step": 400_000},
        lambda state: {"model": {f"_orig_mod.module.{k}": v for k, v in state.items()}, "optim": {"lr": 0.1}},
    ],
    ids=["bare", "module", "average before model", "compiled"],
)
def test_a_unet_of_torchs_files(tmp_path, capsys, wrapped, rows):
    original = drawn(build(UNET, (3, 16, 16), rows))
    torch.save(wrapped(original.state_dict()), tmp_path / "unet.pt")
    paste, state, said = imported(tmp_path / "unet.pt", tmp_path, capsys)
    assert said.startswith("layout adm")
    assert imported(tmp_path / "unet.pt", tmp_path, capsys, "--layout", "torchcfm")[2] == said
    assert ("classes: 10" in said) == (rows == 10)
    network = seams.parse("networks", paste["networks"]["mine"]).build((3, 16, 16), rows)
    network.load_state_dict(state)
    assert torch.equal(inputs(network, (3, 16, 16), rows), inputs(original, (3, 16, 16), rows))
    weights = paste["models"]["mine"]["weights"]
    assert (tmp_path / "imported.safetensors.sha256").read_text().startswith(weights["sha256"])


class Persistent:
    """What EDM's persistence makes of a module: a call that runs the source code in the file."""

    def __init__(self, module: nn.Module):
        keep = ("_parameters", "_buffers", "training", "_non_persistent_buffers_set")
        state = {key: vars(module)[key] for key in keep} | {"_modules": OrderedDict()}
        for name, inner in module.named_children():
            state["_modules"][name] = inner if isinstance(inner, nn.ModuleDict) else Persistent(inner)
        for inner in state["_modules"].values():
            if isinstance(inner, nn.ModuleDict):
                inner._modules = OrderedDict((name, Persistent(one)) for name, one in inner._modules.items())
        state |= {key: value for key, value in vars(module).items() if key == "sigma_data"}
        called = type(module).__name__
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemExit",
            "class_name": called,
            "state": state,
        }

    def __reduce__(self):
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


@pytest.fixture
def edms_modules(monkeypatch):
    """EDM's packages, as far as its pickles name them."""
    for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("the file's code would run")

    class EasyDict(dict):
        pass

    for where, made in (("torch_utils.persistence", _reconstruct_persistent_obj), ("dnnlib.util", EasyDict)):
        made.__module__, made.__qualname__ = where, made.__name__
        setattr(sys.modules[where], made.__name__, made)


@pytest.mark.parametrize("rows", [0, 11])
def test_a_pickle_of_edms(tmp_path, capsys, edms_modules, rows):
    original = drawn(build(SONG, (3, 16, 16), rows))
    expected = inputs(original, (3, 16, 16), rows)

    class EDMPrecond(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.sigma_data = original, 0.5

    easy = sys.modules["dnnlib.util"].EasyDict(resolution=16)
    with (tmp_path / "edm.pkl").open("wb") as stream:
        pickle.dump({"ema": Persistent(EDMPrecond()), "dataset_kwargs": easy, "loss_fn": Persistent(nn.ReLU())}, stream)
    paste, state, said = imported(tmp_path / "edm.pkl", tmp_path, capsys, "--layout", "edm")
    assert "under ema" in said
    assert ("classes: 10" in said) == (rows == 11)
    network = seams.parse("networks", paste["networks"]["mine"]).build((3, 16, 16), rows)
    network.load_state_dict(state)
    assert torch.equal(inputs(network, (3, 16, 16), rows), expected)


@pytest.mark.parametrize(("called", "sigma_data"), [("VPPrecond", 0.5), ("EDMPrecond", 1.0), ("VEPrecond", None)])
def test_another_preconditioning_of_the_same_shapes_is_refused(tmp_path, capsys, edms_modules, called, sigma_data):
    wrapper = type(called, (nn.Module,), {})()
    wrapper.model, wrapper.sigma_data = build(SONG, (3, 16, 16), 0), sigma_data
    with (tmp_path / "edm.pkl").open("wb") as stream:
        pickle.dump({"ema": Persistent(wrapper)}, stream)
    assert f"is of {called} with sigma_data {sigma_data}" in refused(capsys, "import", tmp_path / "edm.pkl")


def test_dinov2_under_its_hubs_names(tmp_path, capsys):
    """Its hub adds a position to the class token, and puts the registers behind it; timm keeps their sum."""
    import timm

    network = drawn(timm.create_model("vit_small_patch14_reg4_dinov2", num_classes=0)).eval()
    state = dict(network.state_dict())
    torch.manual_seed(1)
    position = torch.randn(1, 1, 384)
    hub = {k: v for k, v in state.items() if k not in ("reg_token", "pos_embed", "cls_token")}
    hub |= {"register_tokens": state["reg_token"], "mask_token": torch.zeros(1, 384)}
    hub |= {"pos_embed": torch.cat([position, state["pos_embed"]], 1), "cls_token": state["cls_token"] - position}
    torch.save({"teacher": {f"backbone.{k}": v for k, v in hub.items()}}, tmp_path / "dinov2.pth")
    paste, found, _ = imported(tmp_path / "dinov2.pth", tmp_path, capsys)
    assert paste["embeddings"]["mine"]["model"] == "vit_small_patch14_reg4_dinov2.lvd142m"
    again = timm.create_model("vit_small_patch14_reg4_dinov2", num_classes=0).eval()
    again.load_state_dict(found)
    images = torch.randn(1, 3, 518, 518)
    with torch.no_grad():
        x = network.patch_embed(images)
        x = torch.cat([hub["cls_token"], x], 1) + hub["pos_embed"]
        x = torch.cat([x[:, :1], hub["register_tokens"], x[:, 1:]], 1)
        expected = network.norm(network.blocks(x))
        assert torch.allclose(again.forward_features(images), expected, atol=1e-4)


class Payload:
    """A pickle of it creates a file where it is unpickled by the usual loader."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def hostile(folder, made) -> dict:
    """Name -> a file whose usual loading makes a folder."""
    payload = Payload(made)
    torch.save({"model": payload}, folder / "zip.pt")
    torch.save({"model": payload}, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    (folder / "plain.pkl").write_bytes(pickle.dumps({"ema": payload}))
    (folder / "protocol_0.pkl").write_bytes(pickle.dumps({"ema": payload}, protocol=0))

    class Inner:
        def __reduce__(self):
            return torch.storage._load_from_bytes, ((folder / "legacy.pt").read_bytes(),)

    (folder / "within.pkl").write_bytes(pickle.dumps({"ema": Inner()}))
    return {path.name: path for path in folder.iterdir() if path.suffix in (".pt", ".pkl")}


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt", "plain.pkl", "protocol_0.pkl", "within.pkl"])
def test_a_hostile_file_runs_nothing_and_is_refused_by_the_name_of_what_it_asks_for(tmp_path, capsys, name):
    path = hostile(tmp_path, tmp_path / "made")[name]
    for action in ("inspect", "import"):
        said = refused(capsys, action, path, "--out", tmp_path / "out.safetensors")
        assert path.name in said
        assert "mkdir" in said
        assert "weights_only" not in said
    assert not (tmp_path / "made").exists()
    assert not (tmp_path / "out.safetensors").exists()
    with pytest.raises(FileNotFoundError):  # so the test's payload works: the usual loader would have run it
        Payload(tmp_path / "no" / "such").__reduce__()[0](str(tmp_path / "no" / "such"))


def test_each_file_is_refused_by_every_other_layout(tmp_path, capsys):
    files = {"adm": tmp_path / "adm.pt", "edm": tmp_path / "edm.pt", "vae": tmp_path / "vae.safetensors"}
    torch.save(build(UNET, (3, 8, 8), 0).state_dict(), files["adm"])
    torch.save(build(SONG, (3, 16, 16), 0).state_dict(), files["edm"])
    files["adm_classifier"] = tmp_path / "classifier.pt"
    torch.save(classifier_state(), files["adm_classifier"])
    weight_files.write_vae(files["vae"])
    for layout, path in files.items():
        for wanted in ("adm", "adm_classifier", "edm", "vae", "dinov2", "inception"):
            if wanted == layout:
                assert main(["weights", "inspect", str(path), "--layout", wanted]) == 0
                assert f"layout {layout}" in capsys.readouterr().out
            else:
                said = refused(capsys, "inspect", path, "--layout", wanted)
                assert f"is not of layout {wanted}: it lacks" in said
                assert f"it looks like {layout}" in said


def test_what_is_not_built_here_is_said(tmp_path, capsys):
    state = build(UNET, (3, 8, 8), 0).state_dict()
    last = {"out.2.weight": torch.zeros(5, 32, 3, 3), "out.2.bias": torch.zeros(5)}
    updown = {"output_blocks.2.1.in_layers.0.weight": torch.zeros(4)}
    less = {k: v for k, v in state.items() if k != "middle_block.1.qkv.bias"}
    (tmp_path / "text.pt").write_text("no checkpoint")
    torch.save({"epoch": 3, "args": {"lr": 0.1}}, tmp_path / "none.pt")
    torch.save({"a.weight": torch.ones(2)}, tmp_path / "other.pt")
    torch.save(state | {"input_blocks.0.0.bias": torch.full((32,), torch.nan)}, tmp_path / "nan.pt")
    torch.jit.script(nn.Linear(2, 2)).save(tmp_path / "script.pt")
    torch.save(state, tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:5000])
    for name, content, said in (
        ("channels", state | last, "another shape has out.2.weight, out.2.bias"),
        ("updown", state | updown, "is of a variant of layout adm that is not built here"),
        ("less", less, "it lacks middle_block.1.qkv.bias"),
        ("text", None, "is no checkpoint"),
        ("none", None, "holds no tensors by name"),
        ("other", None, "is of no known layout (adm, adm_classifier, edm, dinov2, inception, vae)"),
        ("nan", None, "not finite: input_blocks.0.0.bias"),
        ("script", None, "TorchScript"),
        ("cut", None, "cut short or damaged"),
        ("absent", None, "cannot be read"),
    ):
        path = tmp_path / f"{name}.pt"
        if content is not None:
            torch.save(content, path)
        assert said in refused(capsys, "inspect", path), name


@pytest.mark.parametrize("layout", ["adm", "adm_classifier", "edm"])
def test_a_file_without_a_tensor_or_with_another_shape_is_a_sentence(tmp_path, layout):
    from guidance_study.networks.models.layouts import layout_of
    from guidance_study.networks.models.weights import WeightsError

    spec, side = (UNET, 8) if layout == "adm" else (SONG, 16)
    state = classifier_state() if layout == "adm_classifier" else build(spec, (3, side, side), 11).state_dict()
    allowed = 0
    for name in {*list(state)[:6], *list(state)[6::29], "enc.16x16_conv.weight"} & set(state):
        others = [{k: v for k, v in state.items() if k != name}]
        others += [state | {name: torch.zeros(shape)} for shape in ((), (3,), (0, 4), (5, 7, 3, 3))]
        for other in others:
            try:
                layout_of(other)
                allowed += 1
            except WeightsError as error:
                assert "\n" not in str(error)
    assert allowed <= 2  # a file without its rows of classes is that of an unconditional network


def test_an_import_that_is_stopped_leaves_nothing(tmp_path, capsys, monkeypatch):
    torch.save(build(UNET, (3, 8, 8), 0).state_dict(), tmp_path / "unet.pt")
    out = tmp_path / "out" / "unet.safetensors"

    def stopped(state, path, about):
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", stopped)
    assert main(["weights", "import", str(tmp_path / "unet.pt"), "--out", str(out)]) == 130
    assert list(out.parent.iterdir()) == []
