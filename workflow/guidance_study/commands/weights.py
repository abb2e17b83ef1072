"""Say which layout a file of weights is of, or turn it into one that a configuration can name; no code of it runs."""

from argparse import ArgumentParser, Namespace
from pathlib import Path


def arguments(parser: ArgumentParser) -> None:
    """What may follow it on the command line."""
    parser.add_argument("action", choices=("inspect", "import"), help="look at a file, or write it as safetensors")
    parser.add_argument("file", type=Path, help="a checkpoint: .pt, .pth, .pkl or .safetensors")
    parser.add_argument("--layout", help="which it must be, as `inspect` calls it (default: what it looks like)")
    parser.add_argument("--out", type=Path, help="the file to write (default: data/weights/<name>.safetensors)")


def run(options: Namespace) -> int:
    from guidance_study.networks.models.foreign import read_foreign
    from guidance_study.networks.models.layouts import layout_of
    from guidance_study.networks.models.weights import WeightsError
    from guidance_study.support.progress import log

    log(f"reading {options.file}")
    state, below = read_foreign(options.file)
    try:
        name, found = layout_of(state, options.layout)
    except WeightsError as error:
        raise WeightsError(f"'{options.file}' {error}") from None
    numbers = sum(tensor.numel() for tensor in found.state.values())
    where = f", under {' and '.join(below)}" if below else ""
    print(f"layout {name}: {numbers:,} numbers in {len(found.state)} tensors{where}")
    if found.classes:
        print(f"classes: {found.classes}")
    target = options.out or Path("data/weights") / f"{options.file.stem}.safetensors"
    digest = _written(found.state, target, name, options.file) if options.action == "import" else None
    for line in _lines(found, target, digest):
        print(line)
    return 0


def _written(state: dict, target: Path, layout: str, source: Path) -> str:
    """Write a file of weights whole or not at all, with its pin; its SHA-256."""
    import json

    from safetensors.torch import save_file

    from guidance_study.sources.rawfiles import write_pin
    from guidance_study.support.progress import log, track
    from guidance_study.support.writing import atomically, sha256

    about = {"layout": layout, "source": source.name, "source_sha256": sha256(source)}
    copied = {name: tensor.contiguous().clone() for name, tensor in track(state.items(), len(state), "tensors")}
    target.parent.mkdir(parents=True, exist_ok=True)
    log(f"writing {target}")
    with atomically(target) as scratch:
        save_file(copied, scratch, {"guidance_study_import": json.dumps(about, sort_keys=True)})
    return write_pin(target)


def _lines(found, target: Path, digest: str | None) -> list[str]:
    """What to paste into a configuration."""
    import yaml

    entry = {**found.entry, **found.untold}
    weights = {"path": str(target)} | ({"sha256": digest} if digest else {})
    if found.section == "embeddings":
        said = {"embeddings": {"mine": {**entry, "weights": weights}}}
    elif found.section == "classifiers":
        said = {"classifiers": {"mine": {"network": entry, "weights": weights}}}
    else:
        said = {"networks": {"mine": entry}, "models": {"mine": {"network": "mine", "weights": weights}}}
    notes = [f"# not told by shapes, so the authors' usual: {', '.join(found.untold)}"] if found.untold else []
    return [*notes, *yaml.safe_dump(said, sort_keys=False, width=110).splitlines()]
