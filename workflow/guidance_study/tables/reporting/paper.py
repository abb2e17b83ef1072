"""The paper's printed FIDs beside ours, and what it would take to run those that were not."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from guidance_study.support.text import shown


def printed(paper: dict, state: str, space: str, k: int | str, scale: float, outside: bool) -> float | None:
    """The paper's number for a row and a scale, None where it prints none. `paper`: its table_2 or table_s1."""
    if state not in ("before", "after"):
        return None
    if scale == 1 and state == "before" and "base_fid_at_scale_1" in paper:
        return paper["base_fid_at_scale_1"]["authors_checkpoint" if outside else "retrained"]
    if scale not in paper["scales"]:
        return None
    column = paper["scales"].index(scale)
    if "rows" not in paper:
        return paper[state][column]
    wanted = ("none", None) if state == "before" else (space, k)
    rows = [row["fid"] for row in paper["rows"] if (row["space"], row["k"]) == wanted]
    return rows[0][column] if rows else None


def beside(cell: str, row: Any, theirs: float | None) -> str:
    """A cell with the smallest repeat, and the paper's number and the difference where it prints one."""
    smallest = f"min {row.minimum:.2f}" if row.repeats > 1 else ""
    compared = "" if theirs is None else f"paper {theirs:g}, {row.mean - theirs:+.2f}"
    said = "; ".join(part for part in (smallest, compared) if part)
    return f"{cell} ({said})" if said else cell


def not_run(paper: dict, summary: pd.DataFrame, arms: Iterable[dict]) -> list[dict]:
    """Lines for the paper's rows that the table does not have, each saying what it needs."""
    have, lines = {(arm["space"], arm["k"]) for arm in arms}, []
    for row in paper.get("rows", []):
        if row["space"] == "none" or (row["space"], row["k"]) in have:
            continue
        line: dict[Any, str] = {"Guidance": "not run", "NN space": row["space"], "k": str(row["k"]), "Post.": "yes"}
        for scale, fid in zip(paper["scales"], row["fid"], strict=True):
            if scale in set(summary["scale"]):
                need = f"needs an arm with space {row['space']}, k {row['k']}"
                line[("training set", shown(scale))] = f"{need} (paper {fid:g})"
        lines.append(line)
    return lines
