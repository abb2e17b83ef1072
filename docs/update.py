"""Copy what docs/results.md, README.md and docs/reference/ show out of results/.

snakemake --cores all && python docs/update.py default
snakemake --cores all --configfile config/paper.yaml config/half_hour.yaml && python docs/update.py half_hour
snakemake --cores all --configfile config/controls.yaml config/controls_seeds.yaml && python docs/update.py controls
snakemake --cores all claims --configfile config/controls.yaml config/controls_seeds.yaml && \
    python docs/update.py claims
snakemake --cores all --configfile config/controls.yaml config/controls_classifier.yaml && \
    python docs/update.py controls_classifier && python docs/update.py claims
snakemake --cores all --configfile config/controls.yaml config/controls_seeds.yaml config/robustness.yaml && \
    python docs/update.py robustness
snakemake --cores all --configfile config/samplers.yaml && python docs/update.py samplers
snakemake --cores all --configfile config/mnist_laptop.yaml config/mnist_seeds.yaml && python docs/update.py mnist && \
    python docs/update.py claims
snakemake --cores all --configfile config/mnist_laptop.yaml config/mnist_seeds.yaml config/mnist_classifier.yaml && \
    python docs/update.py mnist_classifier
snakemake --cores all --configfile config/mnist_laptop.yaml config/mnist_seeds.yaml config/mnist_weak.yaml && \
    python docs/update.py mnist_weak
snakemake --cores all table_mnist_gpu_scales --configfile config/paper.yaml config/mnist_gpu.yaml && \
    python docs/update.py mnist_gpu
snakemake --cores all --configfile config/cifar_jpeg.yaml && python docs/update.py colour
snakemake --cores all --configfile config/mnist_laptop.yaml && python docs/update.py mnist_laptop
snakemake --cores all --configfile config/mnist_laptop.yaml config/mnist_seeds.yaml config/fashion.yaml && \
    python docs/update.py fashion
snakemake --cores all --configfile config/guidance.yaml config/guidance_seeds.yaml && python docs/update.py guidance
"""

import json
import re
import shutil
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
RESULTS, REFERENCE, FIGURES = TOP / "results", TOP / "docs" / "reference", TOP / "docs" / "figures"
TABLES = {
    "half_hour": ["table_1"],
    "default": [
        "table_1",
        "table_1d",
        "table_2d",
        "table_gap",
        "table_scale",
        "table_laws",
        "table_digits",
        "table_digits_nn",
        "table_digits_quality",
    ],
    "controls": ["table_questions", "table_questions_digits", "table_margin", "table_controls", "table_controls_2d"],
    "controls_classifier": [
        "table_questions_classifier",
        "table_controls_classifier",
        "table_controls_2d_classifier",
    ],
    "robustness": ["table_robust", "table_robust_k", "table_robust_digits", "table_robust_digits_k"],
    "budget": ["table_budget", "table_budget_digits"],
    "samplers": ["table_samplers"],
    "mnist": ["table_questions_mnist", "table_mnist_controls", "table_margin"],
    "mnist_classifier": ["table_questions_mnist", "table_mnist_controls", "table_margin"],
    "mnist_weak": ["table_questions_mnist", "table_mnist_controls", "table_margin"],
    "mnist_gpu": ["table_mnist_gpu_scales"],
    "colour": ["table_colour"],
    "mnist_laptop": ["table_mnist", "table_mnist_scales", "table_mnist_own", "table_margin"],
    "fashion": ["table_questions_mnist", "table_mnist_controls", "table_margin"],
    "guidance": ["table_guidance_questions", "table_guidance", "table_guidance_digits", "table_tilted"],
}
SHOWN = {
    "half_hour": ["fig_5"],
    "default": [
        "fig_boundary",
        "fig_2b",
        "fig_4",
        "fig_s1",
        "fig_gap",
        "fig_scale",
        "fig_digits_samples",
        "fig_digits_pca",
    ],
    "controls": ["fig_boundary", "fig_boundary_digits", "fig_margin", "fig_margin_2d"],
    "controls_classifier": ["fig_margin", "fig_margin_2d"],
    "robustness": [],
    "budget": [],
    "samplers": [],
    "mnist": ["fig_margin", "fig_mnist_samples"],
    "mnist_classifier": ["fig_margin", "fig_mnist_samples"],
    "mnist_weak": ["fig_margin"],
    "mnist_gpu": [],
    "colour": ["fig_colour", "fig_margin_colour"],
    "mnist_laptop": ["fig_6", "fig_s2", "fig_s3", "fig_s5", "fig_boundary_mnist"],
    "fashion": ["fig_fashion"],
    "guidance": ["fig_guidance", "fig_boundary_rules", "fig_autoguidance"],
}
PAGES = {"guidance": "rules.md"} | dict.fromkeys(  # where tables are laid between marks
    ["mnist", "mnist_laptop", "mnist_classifier", "mnist_weak", "mnist_gpu", "colour"], "mnist.md"
)


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
    target = FIGURES if which == "default" else folder
    target.mkdir(exist_ok=True)
    for name in SHOWN[which]:
        shutil.copy(RESULTS / "figures" / f"{name}.png", target)
    for name in TABLES[which]:
        table = (RESULTS / "tables" / f"{name}.md").read_text(encoding="utf-8").strip()
        mark = f"{which}/{name}" if which in PAGES else name
        laid(TOP / "docs" / PAGES.get(which, "results.md"), mark, table)


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
    board()


def laid(path: Path, name: str, text: str) -> None:
    """Lay a text between its marks in a page, where it has any."""
    page = path.read_text(encoding="utf-8")
    marks = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    path.write_text(re.sub(marks, lambda mark: f"{mark[1]}{text}\n{mark[2]}", page, flags=re.DOTALL), encoding="utf-8")


def board() -> None:
    """Lay the board into docs/results.md, and its decided claims into README.md."""
    laid(TOP / "docs" / "results.md", "claims", (RESULTS / "claims.md").read_text(encoding="utf-8").strip())
    page = json.loads((RESULTS / "claims.json").read_text(encoding="utf-8"))
    laid(TOP / "README.md", "board", short(page["claims"]))


def short(claims: list[dict]) -> str:
    """The claims that were run as a Markdown table: verdict, and the first part or the one that speaks against it."""
    lines = ["| # | the paper says | here | measured, 95 % interval | asked | seeds |", "|---:|---|---|---|---|---:|"]
    asked: dict[str, str] = {}  # scope -> its mark
    first: dict[str, int] = {}  # claim -> the number of its first row
    for claim in claims:
        parts = [part for part in claim["parts"] if part["deciding"]]
        if claim["verdict"] == "not run" or not parts:
            continue
        part = next((part for part in parts if part["question"] == claim["why"]), parts[0])
        interval = part["deciding"]
        said = f"{interval['mean']:.2g} [{interval['low']:.2g}, {interval['high']:.2g}]"
        said += f" ({part['question'].removeprefix('... ')})" if part["question"] == claim["why"] else ""
        mark = f" {asked.setdefault(claim['scope'], '†' * (len(asked) + 1))}" if claim["scope"] else ""
        number = claim["number"]
        text = (
            claim["claim"] if first.setdefault(claim["claim"], number) == number else f"{first[claim['claim']]} again"
        )
        cells = [number, text + mark, f"**{claim['verdict']}**", said, part["beyond"], interval["n"]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "".join(f"\n\n{mark} asked of {scope} alone" for scope, mark in asked.items())


if __name__ == "__main__":
    main(sys.argv[1])
