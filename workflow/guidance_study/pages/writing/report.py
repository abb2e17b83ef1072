"""The report, from finished tables, figures and the board: nothing is computed here."""

import base64
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guidance_study.pages import Written
from guidance_study.pages.report import ReportPage
from guidance_study.pages.writing.pages import rendered
from guidance_study.support.reading import read_json

if TYPE_CHECKING:
    from guidance_study.execution.job import Input, Job

QUESTION = (
    "Guidance makes a diffusion model's generations look like the class that they are to be of. The paper says that it"
    " works by pushing trajectories away from the decision boundary of a classifier, and that generations near the"
    " boundary are the bad ones: moving generations to their nearest real neighbours lowers the Fréchet distance."
    " Does it, and is that why?"
)

ASKED = {
    "away": "Does guidance push away from the boundary?",
    "why": "Is that why postprocessing helps?",
}


def answers(claims: list[dict]) -> list[dict[str, str]]:
    """The two questions of the paper, each with what the board's claims on it say, and of what they were asked.

    Where every claim on a question was asked of one guidance alone, each guidance has an answer of its own.
    """
    found = []
    for key, question in ASKED.items():
        mine = [claim for claim in claims if claim["answers"] == key]
        scopes = dict.fromkeys(claim["scope"] for claim in mine)
        for scope in [None] if None in scopes else scopes:
            about = [claim for claim in mine if scope in (None, claim["scope"])]
            answer = _answer(about) + (f", for {scope}" if scope else "")
            found.append({"question": question, "answer": answer, "claims": _by_verdict(about)})
    return found


def _answer(claims: list[dict]) -> str:
    """What claims say where all have one verdict; several decide nothing as a whole."""
    verdicts = {claim["verdict"] for claim in claims}
    only = verdicts.pop() if len(verdicts) == 1 else ""
    return {"holds": "Yes", "does not hold": "No", "not run": "Not run"}.get(only, "Not decided as a whole")


def _by_verdict(claims: list[dict]) -> str:
    """Claims' numbers, verdict by verdict."""
    numbers: dict[str, list[str]] = {}
    for claim in claims:
        numbers.setdefault(claim["verdict"], []).append(str(claim["number"]))
    return "; ".join(f"{verdict}: {', '.join(of)}" for verdict, of in numbers.items())


def report(page: ReportPage, job: "Job") -> Written:
    """The page as one file that needs no other, as text, and as what it says of provenance."""
    made = {name: job.inputs[name] for name in job.params["shown"]}
    boards = [read_json(one.path / "page.json") for one in made.values() if one.recipe["stage"] == "page"]
    claims = [claim for one in boards for claim in one["claims"]]
    behind = Behind()
    shown = [_shown(name, one, page.captions.get(name, ""), behind) for name, one in made.items()]
    data = {
        "title": page.title,
        "question": QUESTION,
        "answers": answers(claims),
        "claims": claims,
        "about": [sentence for one in boards for sentence in one["about"]],
        "headline": next((one for one in shown if one["image"] and page.headline in (None, one["name"])), None),
        "figures": [one for one in shown if one["image"]],
        "tables": [one for one in shown if one["table"]],
        "cost": behind.cost(),
        "digests": behind.digests(),
        "artefacts": behind.listed(),
        "commits": behind.commits(),
    }
    lines = [f"# {page.title}", ""]
    lines += [f"{one['question']} {one['answer']} (claims: {one['claims']})." for one in answers(claims)]
    lines += ["", QUESTION, ""]
    for claim in claims:
        said = f"{claim['number']}. {claim['claim']} ({claim['where']}): **{claim['verdict']}** {claim['why']}"
        lines.append(said.strip())
    return Written(rendered("report.html", **data), "\n".join(lines) + "\n", _plain(data))


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """What the report says, without pictures and tables."""
    without = [{key: one[key] for key in ("name", "title", "address")} for one in data["figures"] + data["tables"]]
    return {key: data[key] for key in ("title", "answers", "claims", "cost", "digests", "artefacts")} | {
        "shown": without
    }


def _shown(name: str, one: "Input", caption: str, behind: "Behind") -> dict[str, Any]:
    """A figure or table as the template takes it, with all that it was made from."""
    address = behind.add(one.path)
    stage, image, table = one.recipe["stage"], "", ""
    if stage == "figure":
        image = base64.b64encode((one.path / "figure.png").read_bytes()).decode()
    elif stage == "table":
        table = fragment((one.path / "table.html").read_text(encoding="utf-8"))
    return {
        "name": name, "title": one.params["spec"]["title"], "caption": caption, "image": image, "table": table,
        "address": address, "run": behind.runs[address], "behind": behind.count(address),
    }  # fmt: skip


def fragment(html: str) -> str:
    """The table of a table's own page, with its notes."""
    return html[html.index("<table>") : html.rindex("</ul>") + len("</ul>")]


class Behind:
    """Manifests of everything that artefacts were made from."""

    def __init__(self) -> None:
        self.runs: dict[str, dict] = {}  # address -> how it was made
        self.recipes: dict[str, dict] = {}

    def add(self, folder: Path) -> str:
        """The address of the artefact in a folder; it and its ancestors are known from now on."""
        address = f"{folder.parent.name}/{folder.name}"
        if address not in self.runs:
            manifest = read_json(folder / "manifest.json")
            self.runs[address], self.recipes[address] = manifest["run"], manifest["recipe"]
            for source in manifest["recipe"]["inputs"].values():
                self.add(folder.parents[1] / source)
        return address

    def count(self, address: str) -> int:
        """Artefacts that one is made from, itself among them."""
        return len(set(self._all(address)))

    def _all(self, address: str) -> Iterator[str]:
        yield address
        for source in self.recipes[address]["inputs"].values():
            yield from self._all(source)

    def cost(self) -> list[dict]:
        """Artefacts and seconds by stage."""
        number: Counter[str] = Counter()
        seconds: Counter[str] = Counter()
        for address, run in self.runs.items():
            stage = address.partition("/")[0]
            number[stage] += 1
            seconds[stage] += run["seconds"]
        by_stage = [(stage, number[stage], round(taken)) for stage, taken in seconds.most_common()]
        whole = ("all", len(self.runs), round(sum(seconds.values())))
        return [dict(zip(("stage", "artefacts", "seconds"), line, strict=True)) for line in [*by_stage, whole]]

    def digests(self) -> list[dict]:
        """SHA-256 of the files from outside."""
        found: dict[str, str] = {}
        for recipe in self.recipes.values():
            found |= recipe["params"].get("raw") or {}
        return [{"file": file, "sha256": digest} for file, digest in sorted(found.items())]

    def commits(self) -> list[str]:
        """Commits that anything was made at."""
        return sorted({run["commit"] or "unknown" for run in self.runs.values()})

    def listed(self) -> list[dict]:
        """Every artefact: address, commit, machine, seconds, what it was made from."""
        return [
            {
                "address": address,
                "commit": (run["commit"] or "unknown")[:12],
                "machine": run["hardware"]["cpu"] if run["hardware"]["device"] == "cpu" else run["hardware"]["device"],
                "seconds": run["seconds"],
                "inputs": sorted(set(self.recipes[address]["inputs"].values())),
            }
            for address, run in sorted(self.runs.items())
        ]
