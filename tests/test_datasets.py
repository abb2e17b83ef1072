"""Image datasets on small files of the real formats: what is read, and one sentence for everything that is wrong."""

import gzip
import json
import shutil

import image_files
import numpy as np
import pytest
from guidance_study.config import seams
from guidance_study.config.loading import ConfigError
from guidance_study.errors import StudyError
from guidance_study.jobs import Job
from guidance_study.rawfiles import PLACES, RawFileError, export_places
from guidance_study.rawfolders import write_index
from guidance_study.stages import STAGES, dataset
from PIL import Image


@pytest.fixture(autouse=True)
def no_places(monkeypatch):
    monkeypatch.setenv(PLACES, "{}")


def parse(entry: dict, **changes):
    return seams.parse("datasets", entry | changes)


def arrays(spec, tmp_path) -> dict[str, np.ndarray]:
    """What stage `dataset` makes of the recipe, far from the configuration's folder."""
    export_places(spec.files())
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    facts = spec.facts()
    params = json.loads(json.dumps({**spec.plain(), "raw": facts.raw}))
    assert "root" not in params
    job = Job(params, {}, out, tmp_path)
    dataset.make(job)
    found = {name.removesuffix(".npy"): np.load(out / name) for name in STAGES["dataset"].files}
    for part, counts in (("train", facts.train_counts), ("held_out", facts.held_out_counts)):
        x, y = found[part], found[f"{part}_labels"]
        assert x.dtype == np.float32
        assert x.shape == (sum(counts), *facts.shape)
        assert y.dtype == np.int64
        assert tuple(np.bincount(y)) == counts
        assert job.facts[part] == len(x)
    return found


def sentence(call, *parts, error=StudyError) -> None:
    with pytest.raises(error) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    for part in parts:
        assert str(part) in said, said


def same_images(found: np.ndarray, labels: np.ndarray, expected: np.ndarray, expected_labels: np.ndarray) -> None:
    assert np.array_equal(np.rint((found + 1) * 127.5).astype(np.uint8), expected)
    assert np.array_equal(labels, expected_labels)


# MNIST


@pytest.fixture
def mnist(tmp_path):
    return image_files.mnist_entry(tmp_path / "mnist")


def test_mnist_is_read_in_the_order_of_its_files(mnist, tmp_path):
    found = arrays(parse(mnist), tmp_path)
    same_images(found["train"], found["train_labels"], *image_files.shuffled(8, 10, 1, 28, 0))
    same_images(found["held_out"], found["held_out_labels"], *image_files.shuffled(4, 10, 1, 28, 1))
    assert (found["train"].min(), found["train"].max()) == (-1, 1)


def test_mnist_defaults_are_the_real_files():
    spec = parse({"kind": "mnist"})
    facts = spec.facts()
    assert (sum(facts.train_counts), sum(facts.held_out_counts), facts.classes) == (60000, 10000, 10)
    assert facts.raw["train-images-idx3-ubyte.gz"].startswith("440fcabf")
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz"
    assert spec.files()[3].urls[1] == url


def test_mnist_missing_file_says_which_and_how_to_get_it(mnist, tmp_path, monkeypatch):
    from guidance_study import rawfiles

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
    path.write_bytes(path.read_bytes() + b"\0")
    sentence(parse(mnist).load, path, "has SHA-256", "pinned is", error=RawFileError)


def altered(entry: dict, folder, name: str, change) -> dict:
    """The entry after `change` was done to the bytes within a .gz file, pinned as it now is."""
    path = folder / name
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))
    return entry | {"sha256": entry["sha256"] | {name: image_files.digest(path)}}


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
@pytest.mark.parametrize("keep", [0, 3, 9, -5])
def test_mnist_truncated_file(mnist, tmp_path, name, keep):
    entry = altered(mnist, tmp_path / "mnist", name, lambda content: content[:keep])
    sentence(parse(entry).load, name, "cut short")


def test_mnist_truncated_gzip(mnist, tmp_path):
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    entry = mnist | {"sha256": mnist["sha256"] | {path.name: image_files.digest(path)}}
    sentence(parse(entry).load, path.name, "cut short")


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
    "digests of other files": ({"kind": "mnist", "sha256": {"x.gz": "0" * 64}}, ["x.gz", "t10k-labels-idx1-ubyte.gz"]),
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


def test_cifar10_a_member_that_would_leave_the_folder_is_refused(tmp_path):
    found = image_files.write_archive(tmp_path, batches() | {"../../../escaped": b"x"})
    spec = parse({"kind": "cifar10", "root": str(tmp_path), "sha256": found})
    sentence(spec.load, "cannot be unpacked", "escaped")


def test_cifar10_counts_that_differ(cifar10):
    sentence(parse(cifar10, held_out_counts=[2] * 9 + [3]).load, "2 images of class 9, but held_out_counts says 3")


# Folders of images


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "images"


def test_folder_without_parts_holds_out_a_share_of_every_class(folder, tmp_path):
    entry = image_files.image_folder_entry(folder)
    spec = parse(entry, held_out=0.34)
    assert spec.facts().held_out_counts == (2, 2, 2)
    found = arrays(spec, tmp_path)
    expected = np.concatenate([image_files.pictures(label, 6, 3, 12) for label in range(3)])
    both = np.rint((np.concatenate([found["train"], found["held_out"]]) + 1) * 127.5).astype(np.uint8)
    assert sorted(image.tobytes() for image in both) == sorted(image.tobytes() for image in expected)
    for image, label in zip(both, np.concatenate([found["train_labels"], found["held_out_labels"]]), strict=True):
        assert (expected[6 * label : 6 * label + 6] == image).all((1, 2, 3)).any()
    again, other = arrays(spec, tmp_path), arrays(parse(entry, held_out=0.34, split_seed=1), tmp_path)
    assert np.array_equal(again["train"], found["train"])
    assert not np.array_equal(other["train"], found["train"])


@pytest.mark.parametrize("second", ["val", "test"])
def test_folder_with_parts(folder, tmp_path, second):
    image_files.write_image_folder(folder, held_out=2, channels=1)
    (folder / "val").rename(folder / second)
    if second == "val":  # images without labels beside them, as ImageNet's
        Image.new("L", (3, 3)).save(folder / "train" / "overview.png")
        (folder / "test").mkdir()
        Image.new("L", (3, 3)).save(folder / "test" / "0.png")
    write_index(folder)
    spec = parse({"kind": "image_folder", "root": str(folder), "size": 12, "channels": 1, "classes": 3})
    found = arrays(spec, tmp_path)
    for part, n, seed in (("train", 6, 0), ("held_out", 2, 1)):
        expected = np.concatenate([image_files.pictures(label, n, 1, 12, seed) for label in range(3)])
        same_images(found[part], found[f"{part}_labels"], expected, np.repeat(np.arange(3), n))


def test_blocks_are_written_as_one_array_would_be(folder, tmp_path, monkeypatch):
    from guidance_study.datasets import image_folder

    spec = parse(image_files.image_folder_entry(folder))
    whole = arrays(spec, tmp_path)["train"]
    first = (tmp_path / "out" / "train.npy").read_bytes()
    monkeypatch.setattr(image_folder, "BLOCK", 2)
    monkeypatch.setenv("GUIDANCE_STUDY_THREADS", "3")
    arrays(spec, tmp_path)
    np.save(tmp_path / "whole.npy", whole)
    assert (tmp_path / "out" / "train.npy").read_bytes() == first == (tmp_path / "whole.npy").read_bytes()


def test_images_are_resized_by_their_shorter_side_and_cropped_in_the_middle(folder, tmp_path):
    from torchvision import transforms

    pixels = np.random.default_rng(0).integers(0, 256, size=(30, 50, 3), dtype=np.uint8)
    image_files.write_image_folder(folder, classes=1, per_class=1)
    for name, image in (("000", pixels), ("001", pixels.transpose(1, 0, 2))):
        Image.fromarray(image).save(folder / "class_0" / f"{name}.png")
    write_index(folder)
    found = arrays(parse({"kind": "image_folder", "root": str(folder), "size": 10, "classes": 1}), tmp_path)
    squared = transforms.Compose(
        [transforms.Resize(10, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(10)]
    )
    expected = np.asarray(squared(Image.fromarray(pixels))).transpose(2, 0, 1)
    both = [np.rint((found[part][0] + 1) * 127.5).astype(np.uint8) for part in ("train", "held_out")]
    upright = [image for image in both if np.array_equal(image, expected)]
    assert len(upright) == 1


def test_the_digest_of_a_folder_is_that_of_names_and_bytes(folder, tmp_path):
    image_files.write_image_folder(folder)
    first = write_index(folder)["digest"]
    index = json.loads((tmp_path / "images.index.json").read_text())
    assert index == {"digest": first, "counts": {"all": {"class_0": 6, "class_1": 6, "class_2": 6}}}
    assert first == image_files.digest(tmp_path / "images.files.tsv")
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "notes.txt").write_text("no image")
    (tmp_path / "copy" / ".cache").mkdir()
    shutil.copy(folder / "class_0" / "000.png", tmp_path / "copy" / ".cache")
    assert write_index(tmp_path / "copy")["digest"] == first
    (folder / "class_0" / "000.png").rename(folder / "class_0" / "renamed.png")
    assert write_index(folder)["digest"] != first


def test_an_unpinned_folder_passes_the_plan_and_says_what_to_do(folder):
    spec = parse({"kind": "image_folder", "root": str(folder), "size": 12, "classes": 3})
    assert spec.facts().raw == {"index": "unpinned", "root": str(folder)}
    assert spec.facts().train_counts == (10**9,) * 3
    assert f"folder '{folder}' is missing; put the images there as <class>/<image>" in spec.missing()
    image_files.write_image_folder(folder)
    assert f"run: python -m guidance_study pin {folder}" in spec.missing()
    recipe = spec.plain()
    sentence(spec.load, "pin", error=RawFileError)
    write_index(folder)
    assert spec.missing() is None
    assert len(spec.facts().raw["index"]) == 64
    sentence(parse(recipe, root=str(folder)).load, "pin", error=RawFileError)  # a job of before the pin


@pytest.mark.parametrize("text", ["", "[]", '{"digest": "x", "counts": {}}', '{"digest": 3, "counts": {"all": 1}}'])
def test_a_damaged_index_is_none(folder, text):
    spec = parse(image_files.image_folder_entry(folder))
    spec.folder.beside(".index.json").write_text(text)
    assert spec.facts().raw["index"] == "unpinned"
    assert "run: python -m guidance_study pin" in spec.missing()


def test_classes_must_be_those_of_the_folder(folder, parsed):
    entry = image_files.image_folder_entry(folder)
    call = lambda: parsed({"datasets": {"new": entry | {"classes": 4}}})  # noqa: E731
    sentence(call, "datasets.new", "classes is 4", "3 class folders (class_0, class_1, class_2)", error=ConfigError)


def test_a_class_of_one_image_cannot_be_held_out(folder, parsed):
    image_files.write_image_folder(folder, per_class=1)
    write_index(folder)
    entry = {"kind": "image_folder", "root": str(folder), "size": 12, "classes": 3}
    sentence(lambda: parsed({"datasets": {"new": entry}}), "'class_0' has one image", error=ConfigError)


def test_a_folder_pinned_in_the_configuration(folder):
    entry = image_files.image_folder_entry(folder)
    digest = parse(entry).folder.digest
    assert parse(entry, sha256=digest).missing() is None
    other = parse(entry, sha256="0" * 64, classes=99)  # nothing is known of that folder
    assert "0" * 64 in other.missing()
    assert other.facts().raw == {"index": "0" * 64}


def test_pinning_a_folder_without_images(folder, tmp_path):
    sentence(lambda: write_index(folder), f"folder '{folder}' is missing", error=RawFileError)
    folder.mkdir()
    Image.new("L", (3, 3)).save(folder / "in_no_class.png")
    sentence(lambda: write_index(folder), folder, "holds no images as <class>/<image>", ".png", error=RawFileError)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize(("more", "less"), [("val", "train"), ("train", "val")])
def test_pinning_a_class_that_only_one_part_has(folder, more, less):
    image_files.write_image_folder(folder, held_out=2)
    shutil.copytree(folder / more / "class_1", folder / more / "zebra")
    said = f"class folder '{folder / more / 'zebra'}' has no counterpart with images in '{folder / less}'"
    sentence(lambda: write_index(folder), said, error=RawFileError)


def test_pinning_a_name_that_no_listing_can_hold(folder):
    image_files.write_image_folder(folder)
    (folder / "class_0" / "000.png").rename(folder / "class_0" / "a\tb.png")
    sentence(lambda: write_index(folder), "a\\tb.png", "tab", error=RawFileError)


def load_all(spec) -> None:
    found = spec.load()
    for blocks in (found.train.blocks, found.held_out.blocks):
        list(blocks)


def test_a_file_that_changed_or_went_since_it_was_pinned(folder):
    spec, path = parse(image_files.image_folder_entry(folder)), folder / "class_1" / "003.png"
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    sentence(lambda: load_all(spec), path, "changed since it was pinned")
    path.unlink()
    sentence(lambda: load_all(spec), path, "cannot be read")
    path.write_bytes(content)
    (folder / "class_1" / "new.png").write_bytes(content)  # not in the listing, so not in the data
    load_all(spec)


def test_a_listing_that_changed_since_it_was_pinned(folder):
    spec = parse(image_files.image_folder_entry(folder))
    listing = spec.folder.beside(".files.tsv")
    listing.write_text(listing.read_text().replace("class_0", "class_1"))
    sentence(spec.load, listing, "not the listing", "pin", error=RawFileError)


def test_a_grey_image_among_colour_ones_is_named_or_converted(folder, tmp_path):
    image_files.write_image_folder(folder)
    path = folder / "class_2" / "001.png"
    Image.new("L", (12, 12), 51).save(path)
    write_index(folder)
    spec = parse({"kind": "image_folder", "root": str(folder), "size": 12, "classes": 3})
    sentence(lambda: load_all(spec), path, "is grey (L)", "channels: 3", "convert: true")
    found = arrays(parse(spec.plain(), root=str(folder), convert=True), tmp_path)
    grey = np.float32(51 / 127.5 - 1)
    assert any((image == grey).all() for image in np.concatenate([found["train"], found["held_out"]]))


def test_images_that_cannot_be_decoded_are_named(folder):
    image_files.write_image_folder(folder)
    path = folder / "class_0" / "002.png"
    whole = path.read_bytes()
    for content in (b"", b"no image", whole[:-40]):
        path.write_bytes(content)
        write_index(folder)
        spec = parse({"kind": "image_folder", "root": str(folder), "size": 12, "classes": 3})
        sentence(lambda spec=spec: load_all(spec), f"image '{path}' cannot be decoded")
    Image.fromarray(np.zeros((12, 12), np.uint16)).save(path)
    write_index(folder)
    spec = parse({"kind": "image_folder", "root": str(folder), "size": 12, "classes": 3, "convert": True})
    sentence(lambda: load_all(spec), path, "I;16", "8 bits")


def test_datasets_without_files_have_none():
    assert parse({"kind": "digits"}).files() == []
    assert parse({"kind": "gaussians", "separation": 1.0}).files() == []


def test_the_small_datasets_can_be_told_apart(folder):
    """Nearest mean of a class: what the end-to-end tests rely on."""
    train, labels = image_files.shuffled(8, 10, 1, 28, 0)
    held_out, expected = image_files.shuffled(4, 10, 1, 28, 1)
    means = np.stack([train[labels == label].mean(0) for label in range(10)])
    distance = ((held_out[:, None].astype(float) - means) ** 2).sum((2, 3, 4))
    assert (distance.argmin(1) == expected).mean() == 1
