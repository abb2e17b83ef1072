"""The board of claims as data, Markdown and HTML."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from guidance_study.pages import Written
from guidance_study.pages.claims import Claim, ClaimsPage, statistic
from guidance_study.pages.writing.pages import rendered
from guidance_study.pages.writing.verdicts import NOT_RUN, Verdict, verdicts
from guidance_study.tables.reporting import collect, statistics
from guidance_study.tables.reporting.contrasts import Asked, asked
from guidance_study.tables.reporting.render import framed, render

if TYPE_CHECKING:
    import pandas as pd

    from guidance_study.execution.job import Job
    from guidance_study.tables.asking import Contrast

ABOUT = (
    "One number a training seed: data, split, base model, classifiers, flows and judges are drawn anew for each, and"
    " both sides of a comparison share their noises. Interval: Student's t over seeds, 95 %.",
    "Holds: every part lies beyond its threshold on the side that the paper leads one to expect. Does not hold: one"
    " lies on the other side. Both by t tests at 0.05, corrected by Holm for all claims, run or not. Undecided:"
    " neither.",
    "Statistics and thresholds were written down before the seeds that decide. Where numbers of reference seeds are"
    " shipped, verdict, measured and seeds are theirs; this run, the last column, stands beside: its own seeds' mean.",
)


def board(page: ClaimsPage, job: "Job") -> Written:
    """The page, from measures of this run and from the numbers of earlier ones."""
    claims = judged(page, job)
    data: dict[str, Any] = {"title": page.title, "about": list(ABOUT), "claims": claims}
    table = framed([_line(claim) for claim in claims])
    markdown = render(table, job.params["name"], page.title, list(ABOUT))[".md"]
    return Written(rendered("board.html", **data), markdown, data)


def judged(page: ClaimsPage, job: "Job") -> list[dict[str, Any]]:
    """Every claim with its verdict, its parts' numbers, and where they come from."""
    rows = collect(job, None)[0] if job.params["sources"] else None
    earlier = {entry.statistic: entry.numbers for entry in page.reference}
    found = []
    for claim in page.claims:
        mine = None if rows is None else rows[rows["seed"].isin(claim.trained(job.params["seeds"]))]
        found.append(_known(claim, mine, earlier, page.pilots))
    known = [[decides for _, decides, _ in parts] for parts in found]
    said = verdicts([(claim.parts, numbers) for claim, numbers in zip(page.claims, known, strict=True)])
    shown, lacking = set(job.params["shown"]), job.params["lacking"]
    return [
        _claim(number, claim, parts, verdict, shown) | ({"why": why} if verdict.word == NOT_RUN else {})
        for number, (claim, parts, verdict, why) in enumerate(zip(page.claims, found, said, lacking, strict=True), 1)
    ]


def _known(
    claim: Claim, rows: "pd.DataFrame | None", earlier: dict[str, dict], pilots: list[int]
) -> list[tuple[str, Asked, Asked]]:
    """Of each part: whose numbers decide, those numbers, and this run's."""
    runs = [_measured(part, rows) for part in claim.parts]
    before = [_earlier(part, earlier, pilots) for part in claim.parts]
    if all(len(one.values) > 1 for one in before):
        return [("reference", one, run) for one, run in zip(before, runs, strict=True)]
    return [("this run", _without(run, pilots), run) for run in runs]


def _measured(part: "Contrast", rows: "pd.DataFrame | None") -> Asked:
    """This run's numbers; none where it does not look at all that the part needs."""
    there = set() if rows is None else set(rows["of"])
    if rows is None or not part.subjects <= there:
        return Asked({})
    return asked(rows, part)


def _earlier(part: "Contrast", earlier: dict[str, dict], pilots: list[int]) -> Asked:
    numbers = {int(seed): value for seed, value in earlier.get(statistic(part), {}).items()}
    return _without(Asked(numbers), pilots)


def _without(one: Asked, pilots: list[int]) -> Asked:
    """Without seeds that decide nothing."""
    left = {seed: value for seed, value in one.numbers.items() if seed not in pilots}
    if one.numbers and not left:
        return Asked({}, "this run's seeds were pilots and decide nothing")
    return Asked(left, one.problem)


def _claim(number: int, claim: Claim, parts: list[tuple[str, Asked, Asked]], verdict: Verdict, shown: set[str]) -> dict:
    """A claim as plain data."""
    return {
        "number": number,
        "claim": claim.claim,
        "scope": claim.scope,
        "section": claim.section,
        "where": f"Sec. {claim.section}" + (f"; asked of {claim.scope}" if claim.scope else ""),
        "answers": claim.answers,
        "verdict": verdict.word,
        "why": verdict.why,
        "p": verdict.p,
        "evidence": [name for name in claim.evidence if name in shown],
        "parts": [
            {
                "question": part.question,
                "statistic": statistic(part),
                "what": _what(part),
                "beyond": _beyond(part),
                "decides": whose,
                "deciding": _interval(decides),
                "run": _interval(run),
            }
            for part, (whose, decides, run) in zip(claim.parts, parts, strict=True)
        ],
    }


def _interval(one: Asked) -> dict | None:
    """Numbers by seed, and their interval; None where there are none."""
    if not one.values:
        return None
    return asdict(statistics.t_interval(one.values)) | {"numbers": one.numbers}


def _what(part: "Contrast") -> str:
    """What is measured, in words."""
    name = f"log ratio of {part.metric}" if part.value == "log_ratio" else part.metric
    less = f" less {part.right.words}" if part.right else ""
    return f"{name.replace('_', ' ')}: {part.left.words}{less}"


def _beyond(part: "Contrast") -> str:
    """What is expected."""
    return f"within ±{part.within:g}" if part.within is not None else f"{part.expects} {part.threshold:g}"


def _line(claim: dict) -> dict[str, str]:
    """A row of the board as text: the parts' numbers one after the other."""
    return {
        "#": str(claim["number"]),
        "Claim": claim["claim"] + (f" ({claim['scope']})" if claim["scope"] else ""),
        "Section": claim["section"],
        "Verdict": claim["verdict"] + (f": {claim['why']}" if claim["why"] else ""),
        "Measured": "; ".join(measured(part["deciding"]) for part in claim["parts"]) or "-",
        "Expected": "; ".join(dict.fromkeys(part["beyond"] for part in claim["parts"])) or "-",
        "Seeds": ", ".join(dict.fromkeys(str(p["deciding"]["n"]) for p in claim["parts"] if p["deciding"])) or "-",
        "This run": "; ".join(f"{part['run']['mean']:.3g}" if part["run"] else "-" for part in claim["parts"]) or "-",
    }


def measured(interval: dict | None) -> str:
    """A mean and its interval."""
    if interval is None:
        return "-"
    mean = f"{interval['mean']:.3g}"
    return mean if interval["low"] is None else f"{mean} [{interval['low']:.3g}, {interval['high']:.3g}]"
