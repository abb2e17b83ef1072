"""Files that are nearly checkpoints: taken for what they are, or refused in a sentence; none brings down a process."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
import weight_files
from conftest import TOP, environment
from guidance_study.networks.models.foreign import read_foreign
from guidance_study.networks.models.layouts import layout_of
from guidance_study.networks.models.weights import WeightsError
from guidance_study.support.pickles import UnsafePickle, unpickled
from random_weights import build, drawn

UNET = {"kind": "unet", "model_channels": 32, "num_res_blocks": 1, "channel_mult": [1, 2]}


def state() -> dict[str, torch.Tensor]:
    return drawn(build(UNET, (3, 16, 16), 0)).state_dict()


def text(said: str) -> bytes:
    return b"X" + len(said).to_bytes(4, "little") + said.encode()


def number(n: int) -> bytes:
    return b"J" + n.to_bytes(4, "little", signed=True)


def lying_array(kind: str, flags: int) -> bytes:
    """The pickle of an array whose dtype says that its eight bytes are the address of an object."""
    dtype = b"cnumpy\ndtype\n" + text(kind) + b"\x89\x88\x87R"
    pair = text("a") + b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R" + number(0) + b"\x86"
    state = b"(" + number(3) + text("|") + b"N(" + text("a") + b"t}" + pair + b"s" + number(8) + number(1)
    coded = lambda said: b"c_codecs\nencode\n" + text(said) + text("latin1") + b"\x86R"  # noqa: E731
    start = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + number(0) + b"\x85" + coded("b") + b"tR"
    )
    shape = b"(" + number(1) + number(1) + b"\x85"
    return start + shape + dtype + state + number(flags) + b"tb\x89" + coded("A" * 8) + b"tb."


@pytest.mark.parametrize("kind", ["V8", "O8", "f8", "i8"])
@pytest.mark.parametrize("flags", [0, 1, 27, 63])
def test_an_array_that_lies_about_its_bytes_reaches_no_memory(tmp_path, kind, flags):
    """In a process of its own, which it would bring down: numpy would take the bytes for an object's address."""
    path = tmp_path / "lying.pkl"
    path.write_bytes(lying_array(kind, flags))
    command = [sys.executable, "-m", "guidance_study", "weights", "inspect", str(path)]
    done = subprocess.run(
        command, env=environment() | {"PYTHONPATH": str(TOP / "workflow")}, capture_output=True, text=True
    )
    assert done.returncode == 2, done.stderr
    assert "error: " in done.stderr
    if kind in ("V8", "O8"):
        with pytest.raises(UnsafePickle, match="no plain numbers"), path.open("rb") as stream:
            unpickled(stream)


def test_the_state_of_what_a_pickle_names_is_its_own_affair():
    """No attribute of a class or function is set: only what is built in a name's place is told a state."""
    from guidance_study.support import pickles

    slots = b"N}" + text("__doc__") + text("changed") + b"s\x86"
    for name in (b"numpy\nndarray", b"numpy.core.multiarray\nscalar"):
        unpickled(io.BytesIO(b"\x80\x02c" + name + b"\n" + slots + b"b."))
    assert pickles.Array.__doc__ != "changed"
    assert pickles.BUILT["numpy.core.multiarray.scalar"].__doc__ != "changed"


@pytest.mark.parametrize("protocol", range(6))
def test_plain_arrays_and_numbers_are_what_they_were(protocol):
    values = [np.arange(6, dtype=">i2").reshape(2, 3), np.asfortranarray(np.eye(2, 3, dtype=np.float32)),
              np.array([True, False]), np.array(["ab", "c"]), np.zeros((0, 2)), np.float64(0.3)]  # fmt: skip
    content = pickle.dumps(values, protocol=protocol)
    for one, other in zip(unpickled(io.BytesIO(content)), pickle.loads(content), strict=True):
        assert np.array_equal(one, other)
        assert np.asarray(one).dtype == other.dtype


@pytest.mark.parametrize("beside", [np.float64(0.3), np.arange(3), [np.int64(1)], np.array(["a"])])
def test_numbers_of_numpy_beside_the_weights_are_no_trouble(tmp_path, beside):
    torch.save({"model": state(), "said": beside}, tmp_path / "a.pt")
    found, below = read_foreign(tmp_path / "a.pt")
    assert below == ["model"]
    assert found.keys() == state().keys()


@pytest.mark.parametrize(
    "key", ["ema", "state_dict_ema", "model_ema", "params_ema", "ema_model", "model_ema_state_dict"]
)
def test_an_average_is_taken_before_the_model_whatever_it_is_called(tmp_path, key):
    torch.save({"state_dict": state(), key: {name: value + 1 for name, value in state().items()}}, tmp_path / "a.pt")
    found, below = read_foreign(tmp_path / "a.pt")
    assert below == [key]
    assert torch.equal(found["out.2.bias"], state()["out.2.bias"] + 1)


class Persistent:
    def __init__(self, kept, called="X"):
        self.meta = {"class_name": called, "state": kept}

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


def _reconstruct_persistent_obj(meta):
    raise AssertionError("the file's code would run")


def deep(depth: int):
    module = {"_parameters": {"w": torch.ones(1)}}
    for _ in range(depth):
        module = {"_modules": {"m": Persistent(module)}}
    return Persistent(module)


def cyclic():
    module = torch.nn.Sequential(torch.nn.ReLU())
    module._modules["0"] = module
    return module


ODD = {
    "several averages": ({"ema_a": {"w": torch.ones(1)}, "ema_b": {"w": torch.ones(1)}}, "several averages, ema_a"),
    "sparse": ({"w": torch.eye(3).to_sparse()}, "not plain arrays of numbers of its own: w"),
    "elsewhere": ({"w": torch.empty(3, device="meta")}, "not plain arrays of numbers of its own: w"),
    "one number often": ({"w": torch.ones(1).expand(10**6, 10**7)}, "not plain arrays of numbers of its own: w"),
    "complex": ({**state(), "out.2.bias": torch.zeros(3, dtype=torch.complex64)}, "no real numbers has out.2.bias"),
    "nothing of it": ({**state(), "time_embed.0.weight": torch.zeros(4, 0)}, "not built here"),
    "names that are numbers": ({"ema": Persistent({"_parameters": {1: torch.ones(2)}})}, "a module without parameters"),
    "parts in a list": ({"ema": Persistent({"_modules": [1], "_parameters": [torch.ones(2)]})}, "without parameters"),
    "a scale that is an array": ({"ema": Persistent({"sigma_data": torch.ones(2)}, "EDMPrecond")}, "sigma_data tensor"),
    "deep": ({"ema": deep(300)}, "in one another without end"),
    "cyclic": ({"ema": cyclic()}, "in one another without end"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_a_sentence(tmp_path, monkeypatch, name):
    import types

    value, said = ODD[name]
    made = types.ModuleType("torch_utils.persistence")
    made._reconstruct_persistent_obj = _reconstruct_persistent_obj
    monkeypatch.setitem(sys.modules, "torch_utils", types.ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, "torch_utils.persistence", made)
    monkeypatch.setattr(_reconstruct_persistent_obj, "__module__", "torch_utils.persistence")
    path = tmp_path / "odd"
    if "ema" in value:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(20_000)
        path.write_bytes(pickle.dumps(value))
        sys.setrecursionlimit(limit)
    else:
        torch.save(value, path)
    with pytest.raises(WeightsError, match=said) as raised:
        layout_of(read_foreign(path)[0])
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("size", [14, 16])
def test_another_vision_transformer_is_no_dinov2(size):
    """timm would resample its patches and positions, whatever they were trained for."""
    import timm

    network = timm.create_model(f"vit_small_patch{size}_224" if size == 16 else "vit_small_patch14_dinov2",
                                img_size=224, num_classes=0, init_values=1e-5, dynamic_img_size=False)  # fmt: skip
    with pytest.raises(
        WeightsError, match=f"has patches of {size} x {size} pixels and .* DINOv2's have 14 x 14 and 1370"
    ):
        layout_of(network.state_dict())


def test_an_autoencoder_under_other_names_is_refused_when_it_is_imported(tmp_path):
    weight_files.write_vae(tmp_path / "vae.safetensors")
    whole = read_foreign(tmp_path / "vae.safetensors")[0]
    assert layout_of(whole)[0] == "vae"
    with pytest.raises(WeightsError, match="is no AutoencoderKL as diffusers stores it: it lacks"):
        layout_of({name.replace("down_blocks", "down"): value for name, value in whole.items()})


def test_what_a_study_wrote_is_not_taken_for_anothers(tmp_path, parsed):
    from guidance_study.execution.job import Job
    from guidance_study.networks.models import WEIGHTS, save_weights

    save_weights(state(), Job({}, {}, tmp_path, tmp_path), "denoiser")
    with pytest.raises(WeightsError, match="was written by a study"):
        read_foreign(tmp_path / WEIGHTS)
