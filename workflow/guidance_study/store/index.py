"""The index of a store, for people: which address has which name."""

import contextlib
from pathlib import Path

from guidance_study.plan.plan import Plan
from guidance_study.support.writing import atomic_write


def write_index(plan: Plan, root: Path) -> None:
    """Write results/index.tsv, address -> readable name; lines of other configurations stay while their files do."""
    path, lines = root / "index.tsv", {}
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            address, _, about = line.partition("\t")
            if (root / address).is_dir():
                lines[address] = about
    lines |= {a.address: a.about for a in plan.artefacts.values()}
    text = "address\tname\n" + "".join(f"{a}\t{lines[a]}\n" for a in sorted(lines))
    atomic_write(path, text.encode())
