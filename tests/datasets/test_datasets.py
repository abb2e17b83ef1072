"""Image datasets on small files of the real formats: what is read, and one sentence for everything that is wrong."""

import gzip
import io
import os
import pickle
import tarfile

import image_files
import numpy as np
import pytest
from dataset_checks import arrays, parse, same_images, sentence
from guidance_study.config.loading import ConfigError
from guidance_study.sources.rawfiles import PLACES, RawFileError


@pytest.fixture(autouse=True)
def no_places(monkeypatch):
    monkeypatch.setenv(PLACES, "{}")


# MNIST


@pytest.fixture
def mnist(tmp_path):
    return image_files.mnist_entry(tmp_path / "mnist")


def test_mnist_is_read_in_the_order_of_its_files(mnist, tmp_path):
    found = arrays(parse(mnist), tmp_path)
    same_images(found["train"], found["train_labels"], *image_files.shuffled(8, 10, 1, 28, 0))
    same_images(found["held_out"], found["held_out_labels"], *image_files.shuffled(4, 10, 1, 28, 1))
    assert (found["train"].min(), found["train"].max()) == (-1, 1)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_the_judges_share_is_drawn_by_class_from_the_seed_and_taken_from_the_training_images(mnist, tmp_path, share):
    whole = arrays(parse(mnist), tmp_path)
    found = [arrays(parse(mnist, judges=share, seed=seed), tmp_path) for seed in (0, 0, 1)]
    for one in found:
        both = np.concatenate([one["train"], one["judge"]]).reshape(len(whole["train"]), -1)
        assert np.array_equal(np.unique(both, axis=0), np.unique(whole["train"].reshape(len(both), -1), axis=0))
        assert np.array_equal(one["held_out"], whole["held_out"])
    assert np.array_equal(found[0]["judge"], found[1]["judge"])
    assert not np.array_equal(found[0]["judge"], found[2]["judge"])


def test_mnist_defaults_are_the_real_files():
    spec = parse({"kind": "mnist"})
    facts = spec.facts()
    assert (sum(facts.train_counts), sum(facts.held_out_counts), facts.classes) == (60000, 10000, 10)
    assert facts.raw["train-images-idx3-ubyte"].startswith("ba891046")
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz"
    assert spec.files()[3].urls[1] == url


def test_mnist_missing_file_says_which_and_how_to_get_it(mnist, tmp_path, monkeypatch):
    from guidance_study.sources import rawfiles

    monkeypatch.setattr(rawfiles.time, "sleep", lambda _: None)
    monkeypatch.setattr(rawfiles.urllib.request, "urlopen", refuse)
    spec, path = parse(mnist), tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    assert spec.missing() is None
    path.unlink()
    wanted = (f"'{path}' is missing", "snakemake --cores 1 download", "get https://", path.name, "put it there")
    for part in wanted:
        assert part in spec.missing()
    sentence(spec.load, *wanted, "Network is unreachable", error=RawFileError)


def refuse(*_, **__):
    raise OSError("Network is unreachable")


def test_mnist_wrong_digest(mnist, tmp_path):
    path = tmp_path / "mnist" / "train-labels-idx1-ubyte.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(content))
    sentence(parse(mnist).load, path, "holds, unpacked, SHA-256", "pinned is", error=RawFileError)


def test_mnist_is_the_same_however_it_is_packed(mnist, tmp_path, monkeypatch):
    """Mirrors pack anew; unpacked files do as well, and neither changes what the recipe holds."""
    first = arrays(parse(mnist), tmp_path)
    for path in (tmp_path / "mnist").glob("*.gz"):
        content = gzip.decompress(path.read_bytes())
        if path.name.startswith("train"):
            path.write_bytes(gzip.compress(content, compresslevel=1, mtime=7))
        else:
            path.with_suffix("").write_bytes(content)
            path.unlink()
    spec = parse(mnist)
    assert spec.missing() is None
    assert spec.facts() == parse(mnist).facts()
    again = arrays(spec, tmp_path)
    assert first.keys() == again.keys()
    for part, found in first.items():
        np.testing.assert_array_equal(found, again[part])
    plain = tmp_path / "mnist" / "t10k-labels-idx1-ubyte"
    content = plain.read_bytes()
    plain.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    sentence(spec.load, plain, "holds, unpacked, SHA-256", error=RawFileError)


def test_another_dataset_of_the_format_is_refused_in_mnists_place(mnist, tmp_path):
    """As Fashion-MNIST's files are, which have the same names and sizes."""
    image_files.write_mnist(tmp_path / "mnist", per_class=9)
    sentence(parse(mnist).load, "train-images-idx3-ubyte.gz", "pinned is", error=RawFileError)


def altered(entry: dict, folder, name: str, change) -> dict:
    """The entry after `change` was done to the bytes within a .gz file, pinned as it now is."""
    path = folder / name
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))
    return entry | {"sha256": entry["sha256"] | {path.stem: image_files.digest_within(path)}}


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
@pytest.mark.parametrize("keep", [0, 3, 9, -5])
def test_mnist_truncated_file(mnist, tmp_path, name, keep):
    entry = altered(mnist, tmp_path / "mnist", name, lambda content: content[:keep])
    sentence(parse(entry).load, name, "cut short")


def test_mnist_truncated_gzip(mnist, tmp_path):
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    sentence(parse(mnist).load, path.name, "cut short")


def test_mnist_with_images_of_another_size(mnist, tmp_path):
    small = image_files.idx(np.zeros((80, 8, 8), np.uint8))
    entry = altered(mnist, tmp_path / "mnist", "train-images-idx3-ubyte.gz", lambda _: small)
    sentence(parse(entry).load, "8 x 8, not 28 x 28")


def test_mnist_with_fewer_labels_than_images(mnist, tmp_path):
    labels = image_files.idx(np.zeros(79, np.uint8))
    entry = altered(mnist, tmp_path / "mnist", "train-labels-idx1-ubyte.gz", lambda _: labels)
    sentence(parse(entry).load, "80 images", "79 labels")


@pytest.mark.parametrize(
    ("counts", "said"),
    [([8] * 9 + [7], "has 8 images of class 9, but train_counts says 7"),
     ([8] * 9, "has an image of class 9, but train_counts ends with class 8"),
     ([8] * 11, "has 0 images of class 10, but train_counts says 8")],
)  # fmt: skip
def test_mnist_counts_that_differ(mnist, counts, said):
    spec = parse(mnist, train_counts=counts, held_out_counts=[4] * len(counts))
    sentence(spec.load, "train-labels-idx1-ubyte.gz", said)


MISTAKES = {
    "a digest that is none": ({"kind": "cifar10", "sha256": "6d95"}, ["sha256", "'6d95'", "64 digits"]),
    "digests of other files": ({"kind": "mnist", "sha256": {"x.gz": "0" * 64}}, ["x.gz", "t10k-labels-idx1-ubyte"]),
    "classes that differ": ({"kind": "cifar10", "train_counts": [5000] * 9}, ["train_counts has 9", "10"]),
    "an empty class": ({"kind": "mnist", "train_counts": [0] * 10}, ["train_counts[0]", "0"]),
    "nothing held out": ({"kind": "image_folder", "size": 8, "classes": 2, "held_out": 0.0}, ["held_out", "0.0"]),
    "two channels": ({"kind": "image_folder", "size": 8, "classes": 2, "channels": 2}, ["channels", "2", "1 or 3"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_configuration_is_one_sentence(parsed, mistake):
    entry, expected = MISTAKES[mistake]
    sentence(lambda: parsed({"datasets": {"new": entry}}), "datasets.new", *expected, error=ConfigError)


# CIFAR-10


@pytest.fixture
def cifar10(tmp_path):
    return image_files.cifar10_entry(tmp_path / "cifar10")


def test_cifar10_is_read_in_the_order_of_its_batches(cifar10, tmp_path):
    found = arrays(parse(cifar10), tmp_path)
    same_images(found["train"], found["train_labels"], *image_files.shuffled(5, 10, 3, 32, 0))
    same_images(found["held_out"], found["held_out_labels"], *image_files.shuffled(2, 10, 3, 32, 1))


def test_cifar10_defaults_are_the_real_archive():
    facts = parse({"kind": "cifar10"}).facts()
    assert (sum(facts.train_counts), sum(facts.held_out_counts), facts.classes) == (50000, 10000, 10)
    assert facts.raw["cifar-10-python.tar.gz"].startswith("6d958be0")


def test_cifar10_of_another_digest_is_not_unpickled(cifar10, tmp_path, monkeypatch):
    import pickle

    def never(*_, **__):
        raise AssertionError("unpickled")

    monkeypatch.setattr(pickle, "load", never)
    sentence(parse(cifar10, sha256="0" * 64).load, "cifar-10-python.tar.gz", "pinned is 000", error=RawFileError)


def batches() -> dict[str, bytes]:
    """The files of an archive of one image a class in each batch."""
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    made = {name: image_files.shuffled(1, 10, 3, 32, i) for i, name in enumerate(names)}
    return {name: image_files.cifar_batch(x, y, name) for name, (x, y) in made.items()}


def fewer_labels(_):
    images, labels = image_files.shuffled(1, 10, 3, 32, 0)
    return image_files.python2_pickle({"data": images.reshape(10, 3072), "labels": labels.tolist()[:-1]})


BROKEN = {
    "cut short": lambda content: content[:-200],
    "empty": lambda content: b"",
    "fewer labels": fewer_labels,
    "other keys": lambda content: image_files.python2_pickle({"images": 1}),
    "rows too short": lambda content: image_files.python2_pickle({"data": np.zeros((10, 9), np.uint8), "labels": [0]}),
}


@pytest.mark.parametrize("how", BROKEN)
def test_cifar10_broken_batch_is_named(tmp_path, how):
    files = batches()
    files["data_batch_3"] = BROKEN[how](files["data_batch_3"])
    found = image_files.write_archive(tmp_path, files)
    spec = parse({"kind": "cifar10", "root": str(tmp_path), "sha256": found})
    sentence(spec.load, "batch 'data_batch_3'", "cifar-10-python.tar.gz", "cut short")


def test_cifar10_missing_batch_and_truncated_archive(tmp_path):
    files = batches()
    del files["test_batch"]
    found = image_files.write_archive(tmp_path, files)
    spec = parse({"kind": "cifar10", "root": str(tmp_path), "sha256": found, "train_counts": [5] * 10})
    sentence(spec.load, "batch 'test_batch'", "missing")
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    spec = parse({"kind": "cifar10", "root": str(tmp_path), "sha256": image_files.digest(path)})
    sentence(spec.load, path, "cannot be unpacked")


def test_cifar10_nothing_is_extracted(tmp_path):
    folder = tmp_path / "a" / "b"
    found = image_files.write_archive(folder, batches() | {"../../escaped": b"x"})
    spec = parse({"kind": "cifar10", "root": str(folder), "sha256": found, "train_counts": [5] * 10,
                  "held_out_counts": [1] * 10})  # fmt: skip
    assert len(spec.load().train) == 50
    assert {path.name for path in tmp_path.rglob("*")} == {"a", "b", "cifar-10-python.tar.gz"}


@pytest.mark.parametrize("kind", ["link", "device", "huge"])
def test_cifar10_a_member_that_is_no_file_of_a_batch_is_refused(tmp_path, kind):
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        info.type = {"link": tarfile.SYMTYPE, "device": tarfile.CHRTYPE, "huge": tarfile.REGTYPE}[kind]
        info.linkname = "/etc/passwd"
        info.size = 2**27 if kind == "huge" else 0
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    spec = parse({"kind": "cifar10", "root": str(tmp_path), "sha256": image_files.digest(path)})
    sentence(spec.load, path, "data_batch_1", "more than" if kind == "huge" else "is no file")


def test_cifar10_a_pickle_that_asks_for_code_is_refused_by_its_name_and_runs_nothing(tmp_path):
    files = batches() | {"data_batch_2": pickle.dumps(Payload(tmp_path / "ran"))}
    found = image_files.write_archive(tmp_path, files)
    spec = parse({"kind": "cifar10", "root": str(tmp_path), "sha256": found})
    sentence(spec.load, "batch 'data_batch_2'", "cifar-10-python.tar.gz", "it asks for '", "need of code")
    assert not (tmp_path / "ran").exists()


class Payload:
    """What a hostile pickle holds: a call, made when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_cifar10_counts_that_differ(cifar10):
    sentence(parse(cifar10, held_out_counts=[2] * 9 + [3]).load, "2 images of class 9, but held_out_counts says 3")


# Folders of images
