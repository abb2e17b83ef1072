"""Small image datasets in exactly the formats of the real ones, with classes that a network can learn.

Every class has a pattern of its own, drawn from the class's number alone; an image is its pattern plus noise.
"""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np

CIFAR_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def pictures(label: int, n: int, channels: int, size: int, seed: int = 0) -> np.ndarray:
    """n images (n, channels, size, size) uint8 of a class: coarse pattern of the class, plus noise."""
    pattern = np.random.default_rng(label).integers(48, 208, size=(channels, 4, 4))
    repeated = pattern.repeat(-(-size // 4), axis=1).repeat(-(-size // 4), axis=2)[:, :size, :size]
    noise = np.random.default_rng((seed, label)).normal(scale=16, size=(n, channels, size, size))
    return np.clip(repeated + noise, 0, 255).astype(np.uint8)


def shuffled(per_class: int, classes: int, channels: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of all classes, in mixed order as in the real files."""
    images = np.concatenate([pictures(label, per_class, channels, size, seed) for label in range(classes)])
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order], np.repeat(np.arange(classes), per_class)[order]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_within(path: Path) -> str:
    """Of what a gzipped file holds."""
    return hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()


def idx(array: np.ndarray) -> bytes:
    """An array of unsigned bytes as an IDX file: magic number 0x000008dd (dd dimensions), sizes, bytes."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write_mnist(folder: Path, per_class: int = 8, held_out: int = 4, classes: int = 10) -> dict[str, str]:
    """The four files of MNIST; returns the digests of what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, n, seed in (("train", per_class, 0), ("t10k", held_out, 1)):
        images, labels = shuffled(n, classes, 1, 28, seed)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[:, 0]), mtime=0))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels), mtime=0))
    return {path.stem: digest_within(path) for path in sorted(folder.glob("*-ubyte.gz"))}


def mnist_entry(folder: Path, per_class: int = 8, held_out: int = 4, classes: int = 10) -> dict:
    """The same, as an entry of `datasets:` in a configuration."""
    digests = write_mnist(folder, per_class, held_out, classes)
    counts = {"train_counts": [per_class] * classes, "held_out_counts": [held_out] * classes}
    return {"kind": "mnist", "root": str(folder), "sha256": digests} | counts


def write_cifar10(folder: Path, per_class: int = 5, held_out: int = 2) -> str:
    """CIFAR-10's archive; `per_class` is a multiple of 5, for its five batches. Returns its digest."""
    images, labels = shuffled(per_class, 10, 3, 32, 0)
    batches = {}
    for i, (x, y) in enumerate(zip(np.split(images, 5), np.split(labels, 5), strict=True), 1):
        batches[f"data_batch_{i}"] = cifar_batch(x, y, f"training batch {i} of 5")
    batches["test_batch"] = cifar_batch(*shuffled(held_out, 10, 3, 32, 1), "testing batch 1 of 1")
    meta = {"num_cases_per_batch": 2 * per_class, "label_names": CIFAR_NAMES, "num_vis": 3072}
    return write_archive(folder, batches | {"batches.meta": python2_pickle(meta)})


def cifar10_entry(folder: Path, per_class: int = 5, held_out: int = 2) -> dict:
    """The same, as an entry of `datasets:` in a configuration."""
    found = write_cifar10(folder, per_class, held_out)
    counts = {"train_counts": [per_class] * 10, "held_out_counts": [held_out] * 10}
    return {"kind": "cifar10", "root": str(folder), "sha256": found} | counts


def cifar_batch(images: np.ndarray, labels: np.ndarray, label: str) -> bytes:
    """One batch as the real ones: rows of 1024 red, 1024 green and 1024 blue pixels."""
    names = [f"{CIFAR_NAMES[y]}_s_{i:06d}.png" for i, y in enumerate(labels)]
    data = images.reshape(len(images), 3072)
    return python2_pickle({"batch_label": label, "labels": labels.tolist(), "data": data, "filenames": names})


def write_archive(folder: Path, files: dict[str, bytes]) -> str:
    """cifar-10-python.tar.gz with some files; returns its digest."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in (files | {"readme.html": b"<html></html>\n"}).items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path = folder / "cifar-10-python.tar.gz"
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return digest(path)


def python2_pickle(value) -> bytes:
    """A pickle as Python 2 and a numpy of 2009 wrote it: texts and array data are byte strings (opcodes U and T)."""
    out = io.BytesIO()
    _Python2Pickler(out, protocol=2).dump(value)
    return out.getvalue()


class _Python2Pickler(pickle._Pickler):
    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012 - the standard library's own name for it

    def _string(self, value):
        content = value.encode() if isinstance(value, str) else value
        short = len(content) < 256
        self.write(b"U" + struct.pack("<B", len(content)) if short else b"T" + struct.pack("<i", len(content)))
        self.write(content)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _string

    def save_global(self, obj, name=None):
        module = "numpy.core.multiarray" if obj.__module__ == "numpy._core.multiarray" else obj.__module__
        self.write(f"c{module}\n{name or obj.__qualname__}\n".encode())
        self.memoize(obj)

    def reducer_override(self, obj):
        if isinstance(obj, np.dtype):
            return np.dtype, (obj.str[1:], 0, 1), obj.__reduce__()[2]
        return NotImplemented


def write_image_folder(
    folder: Path, classes: int = 3, per_class: int = 6, size: int = 12, held_out: int = 0, channels: int = 3
) -> None:
    """PNGs as <class>/<image>, or with `held_out` as train/<class>/<image> and val/<class>/<image>."""
    from PIL import Image

    for part, n, seed in (("train", per_class, 0), ("val", held_out, 1)) if held_out else (("", per_class, 0),):
        for label in range(classes):
            home = folder / part / f"class_{label}"
            home.mkdir(parents=True, exist_ok=True)
            for i, image in enumerate(pictures(label, n, channels, size, seed)):
                pixels = image.transpose(1, 2, 0) if channels == 3 else image[0]
                Image.fromarray(pixels).save(home / f"{i:03d}.png")


def image_folder_entry(folder: Path, classes: int = 3, per_class: int = 6, size: int = 12, **more) -> dict:
    """The same, pinned, as an entry of `datasets:` in a configuration."""
    from guidance_study.sources.rawfolders import write_index

    write_image_folder(folder, classes, per_class, size, **more)
    write_index(folder)
    channels = more.get("channels", 3)
    return {"kind": "image_folder", "root": str(folder), "size": size, "classes": classes, "channels": channels}
