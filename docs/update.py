"""Bring what the README shows up to date with results/: the digits' table (several seeds) and the two figures.

snakemake --cores all --configfile config/seeds.yaml && python docs/update.py
"""

import re
import shutil
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]


def main() -> None:
    readme = TOP / "README.md"
    table = (TOP / "results" / "tables" / "table_digits.md").read_text(encoding="utf-8").strip()
    text, found = re.subn(
        r"(<!-- table_digits -->\n).*?(<!-- /table_digits -->)",
        lambda mark: f"{mark[1]}{table}\n{mark[2]}",
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    assert found == 1, "README.md has lost the marks around its table"
    readme.write_text(text, encoding="utf-8")
    for name in ("fig_digits_samples", "fig_digits_pca"):
        (TOP / "docs" / "figures").mkdir(exist_ok=True)
        shutil.copy(TOP / "results" / "figures" / f"{name}.png", TOP / "docs" / "figures")


if __name__ == "__main__":
    main()
