"""Folders of images: parts, pins, sizes, and one sentence for everything that is wrong with one."""

import json
import os
import shutil

import image_files
import numpy as np
import pytest
from dataset_checks import arrays, parse, same_images, sentence
from guidance_study.config.loading import ConfigError
from guidance_study.sources.rawfiles import PLACES, RawFileError
from guidance_study.sources.rawfolders import write_index
from PIL import Image


@pytest.fixture(autouse=True)
def no_places(monkeypatch):
    monkeypatch.setenv(PLACES, "{}")


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
    again, other = arrays(spec, tmp_path), arrays(parse(entry, held_out=0.34, seed=1), tmp_path)
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


def test_a_loop_of_links_and_a_folder_seen_twice_are_refused(folder):
    image_files.write_image_folder(folder)
    inside = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    for link, target in ((inside / "loop", folder), (folder / "again", inside)):
        link.symlink_to(target, target_is_directory=True)
        sentence(lambda: write_index(folder), "one folder, by a link", error=RawFileError)
        link.unlink()


def test_a_pipe_called_like_an_image_is_refused_and_not_waited_for(folder):
    image_files.write_image_folder(folder)
    inside = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    os.mkfifo(inside / "pipe.png")
    sentence(lambda: write_index(folder), "pipe.png", "is no file", error=RawFileError)


def test_an_image_learnt_from_and_held_out_is_refused_by_both_names(folder):
    image_files.write_image_folder(folder, held_out=2, channels=1)
    first = sorted((folder / "train").rglob("*.png"))[0]
    shutil.copy(first, first.parent.parent.parent / "val" / first.parent.name / "copy.png")
    sentence(lambda: write_index(folder), first.name, "copy.png", "one image", error=RawFileError)
    (folder / "val" / first.parent.name / "copy.png").unlink()
    shutil.copy(first, first.with_name("copy.png"))
    write_index(folder)  # twice to learn from: nothing leaks


def test_an_image_twice_in_a_folder_without_parts_is_refused(folder):
    image_files.write_image_folder(folder)
    first = sorted(folder.rglob("*.png"))[0]
    shutil.copy(first, first.with_name("copy.png"))
    sentence(lambda: write_index(folder), first.name, "copy.png", "one image", error=RawFileError)


def test_images_are_turned_as_their_camera_was(folder, tmp_path):
    """EXIF's orientation 6: the rows of the file are the columns of the picture, from right to left."""
    image_files.write_image_folder(folder, channels=1)
    first = sorted(folder.rglob("*.png"))[0]
    with Image.open(first) as image:
        expected = np.array(image.transpose(Image.Transpose.ROTATE_270))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(first, exif=exif)
    write_index(folder)
    spec = parse({"kind": "image_folder", "root": str(folder), "size": 12, "channels": 1, "classes": 3})
    found = arrays(spec, tmp_path)
    both = np.rint((np.concatenate([found["train"], found["held_out"]]) + 1) * 127.5).astype(np.uint8)
    assert (both[:, 0] == expected).all((1, 2)).sum() == 1


@pytest.mark.parametrize("size", [(1, 1_000_000), (20_000, 20_000)])
def test_an_image_that_would_not_fit_is_refused_before_it_is_decoded(folder, size):
    image_files.write_image_folder(folder, channels=1)
    first = sorted(folder.rglob("*.png"))[0]
    Image.new("1", size).save(first)
    write_index(folder)
    spec = parse({"kind": "image_folder", "root": str(folder), "size": 12, "channels": 1, "classes": 3})
    sentence(lambda: [list(part.blocks) for part in (spec.load().train, spec.load().held_out)], first.name, "pixels")
