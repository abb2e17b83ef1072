"""Copy what docs/results.md, README.md and docs/reference/ show out of results/.

snakemake --cores all && python docs/update.py default
snakemake --cores all --configfile config/seeds.yaml && python docs/update.py embedded
snakemake --cores all --configfile config/paper.yaml config/half_hour.yaml && python docs/update.py half_hour
snakemake --cores all --configfile config/controls.yaml config/controls_seeds.yaml && python docs/update.py controls
snakemake --cores all claims --configfile config/controls.yaml config/controls_seeds.yaml && \
    python docs/update.py claims
snakemake --cores all --configfile config/controls.yaml config/controls_seeds.yaml config/robustness.yaml && \
    python docs/update.py robustness
snakemake --cores all --configfile config/samplers.yaml && python docs/update.py samplers
"""

import json
import re
import shutil
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
RESULTS, REFERENCE, FIGURES = TOP / "results", TOP / "docs" / "reference", TOP / "docs" / "figures"
TABLES = {
    "embedded": ["table_1", "table_1d", "table_2d", "table_gap", "table_scale"],
    "half_hour": ["table_1"],
    "default": [
        "table_1",
        "table_1d",
        "table_2d",
        "table_gap",
        "table_scale",
        "table_digits",
        "table_digits_nn",
        "table_digits_quality",
    ],
    "controls": ["table_questions", "table_questions_digits", "table_margin", "table_controls"],
    "robustness": ["table_robust", "table_robust_k", "table_robust_digits", "table_robust_digits_k"],
    "samplers": ["table_samplers"],
}
SHOWN = {
    "embedded": ["fig_2b", "fig_4", "fig_s1", "fig_gap", "fig_scale", "fig_digits_samples", "fig_digits_pca"],
    "half_hour": ["fig_5"],
    "default": ["fig_boundary"],
    "controls": ["fig_boundary", "fig_boundary_digits", "fig_margin", "fig_margin_2d"],
    "robustness": [],
    "samplers": [],
}


def main(which: str) -> None:
    """Bring one set up to date: tables and figures as the run that was last made them, or the numbers of claims."""
    if which == "claims":
        claims()
        return
    folder = REFERENCE / which
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES[which]:
        for suffix in (".md", ".csv"):
            shutil.copy(RESULTS / "tables" / f"{name}{suffix}", folder)
    target = FIGURES if which in ("embedded", "default") else folder
    target.mkdir(exist_ok=True)
    for name in SHOWN[which]:
        shutil.copy(RESULTS / "figures" / f"{name}.png", target)
    if which == "embedded":
        for name in ("table_digits", "table_gap"):
            show(name)


def claims() -> None:
    """Lay this run's numbers of every claim into those that the project ships, seed by seed."""
    path = REFERENCE / "claims.json"
    known = json.loads(path.read_text(encoding="utf-8"))["numbers"] if path.is_file() else []
    numbers = {entry["statistic"]: entry["numbers"] for entry in known}
    page = json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))
    parts = [part for claim in page["claims"] for part in claim["parts"] if part["run"]]
    for part in parts:
        numbers[part["statistic"]] = numbers.get(part["statistic"], {}) | part["run"]["numbers"]
    asked = {part["statistic"] for claim in page["claims"] for part in claim["parts"]}
    found = [
        {"statistic": statistic, "numbers": dict(sorted(of.items(), key=lambda pair: int(pair[0])))}
        for statistic, of in numbers.items()
        if statistic in asked
    ]
    path.write_text(json.dumps({"numbers": found}, indent=1) + "\n", encoding="utf-8")


def show(name: str) -> None:
    """Lay a table between its marks in docs/results.md."""
    page = TOP / "docs" / "results.md"
    table = (RESULTS / "tables" / f"{name}.md").read_text(encoding="utf-8").strip()
    text, found = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
        lambda mark: f"{mark[1]}{table}\n{mark[2]}",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    assert found == 1, f"{page.name} has lost the marks around {name}"
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
