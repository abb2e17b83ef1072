"""The report of a small study: one file, whole, with everything that it names in it; and as a browser shows it."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pandas as pd
import pytest
from conftest import TINY, TOP, command_line, merge, project, read

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.slow
TARGETS = ["table_digits", "fig_digits_samples", "metrics", "claims", "report"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The results folder of a tiny study with its board and its report."""
    tmp = tmp_path_factory.mktemp("report")
    config = merge(merge(read(TOP / "config.yaml"), TINY), {"all": TARGETS, "trajectories": {}})
    tables = config["tables"]
    tables = {"table_digits": tables["table_digits"] | {"title": "Digits & <distances>"}, "metrics": tables["metrics"]}
    config["tables"] = tables
    config["figures"] = {"fig_digits_samples": config["figures"]["fig_digits_samples"]}
    config["experiments"] = {name: config["experiments"][name] for name in ("digits_cfg", "digits_cg")}
    config["trajectories"] = {}
    folder = project.__wrapped__(tmp)(config)
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr
    return folder / "results"


class Links(HTMLParser):
    """Identifiers, links and what is loaded."""

    def __init__(self, text: str):
        super().__init__()
        self.identifiers, self.links, self.loaded = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.identifiers |= {given["id"]} if "id" in given else set()
        self.links += [given["href"]] if tag == "a" else []
        self.loaded += [given[key] for key in ("src", "srcset") if key in given] + (
            [given["href"]] if tag == "link" else []
        )


def test_the_report_is_one_file_and_every_link_leads_somewhere(built):
    text = (built / "report.html").read_text(encoding="utf-8")
    found = Links(text)
    assert all(source.startswith("data:image/png;base64,") for source in found.loaded)
    assert len(found.loaded) == 1
    inside = [link for link in found.links if not link.startswith("data:")]
    assert all(link[0] == "#" and link[1:] in found.identifiers for link in inside)
    assert "url(" not in text
    assert "<script" not in text
    assert "Digits &amp; &lt;distances&gt;" in text


def test_it_holds_every_claim_and_every_artefact_behind_it(built):
    data, board = (json.loads((built / f"{name}.json").read_text()) for name in ("report", "claims"))
    assert data["claims"] == board["claims"]
    assert len(board["claims"]) == 29
    assert {claim["verdict"] for claim in board["claims"]} <= {"holds", "does not hold", "undecided", "not run"}
    for artefact in data["artefacts"]:
        manifest = json.loads((built / artefact["address"] / "manifest.json").read_text())
        assert set(artefact["inputs"]) == set(manifest["recipe"]["inputs"].values())
    stages = {artefact["address"].split("/")[0] for artefact in data["artefacts"]}
    assert {"dataset", "denoiser", "samples", "postprocessor", "measures", "table", "figure", "page"} <= stages
    assert data["cost"][-1]["artefacts"] == len(data["artefacts"])
    (distances,) = [one for one in data["shown"] if one["name"] == "table_digits"]
    assert (built / distances["address"] / "table.csv").is_file()


def test_it_begins_with_the_answers_and_says_whose_the_verdicts_are(built):
    """The two questions, by the claims on each; text and page alike."""
    lines = (built / "report.md").read_text().splitlines()
    text = (built / "report.html").read_text(encoding="utf-8")
    said = json.loads((built / "report.json").read_text())
    for line, one in zip(lines[2 : lines.index("", 2)], said["answers"], strict=True):
        assert line.startswith(f"{one['question']} {one['answer']}")
        assert f"{one['question']} {one['answer']}." in text
        assert text.index(one["question"]) < text.index("<table")
        numbers = [int(n) for n in re.findall(r"\d+", one["claims"])]
        about = [claim for claim in said["claims"] if claim["number"] in numbers]
        words = {claim["verdict"] for claim in about}
        sure = {"holds": "Yes", "does not hold": "No", "not run": "Not run"}.get(words.pop() if len(words) == 1 else "")
        scopes = {claim["scope"] for claim in about}
        of = f", for {scopes.pop()}" if len(scopes) == 1 and None not in scopes else ""
        assert one["answer"] == (sure or "Not decided as a whole") + of
    asked = [claim["number"] for claim in said["claims"] if claim["answers"]]
    told = [int(n) for one in said["answers"] for n in re.findall(r"\d+", one["claims"])]
    assert sorted(told) == asked
    assert text.index("verdict, measured and seeds are theirs") < text.index("<table")


def test_make_ends_with_every_answer(built):
    (command,) = re.findall(r"@(sed .*) results/report\.md", (TOP / "Makefile").read_text())
    command = f"{command.replace('$$', '$')} {built / 'report.md'}"
    said = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.split("\n")
    answers = json.loads((built / "report.json").read_text())["answers"]
    assert len(answers) > 1
    assert [line.partition(" (claims")[0] for line in said if line] == [
        f"{a['question']} {a['answer']}" for a in answers
    ]


def test_every_number_in_a_table_of_the_report_is_among_the_measured_ones(built):
    """From the page to the table's CSV, and from there to metrics.csv, where every setting is a column."""
    table, metrics = (pd.read_csv(built / "tables" / f"{name}.csv") for name in ("table_digits", "metrics"))
    for row in table.itertuples():
        label = metrics["label"].isna() if row.label == "all" else metrics["label"].astype(str) == str(row.label)
        arm = metrics["arm"].isna() if pd.isna(row.arm) else metrics["arm"] == row.arm
        reference = metrics["reference"].isna() if pd.isna(row.reference) else metrics["reference"] == row.reference
        same = (metrics["of"] == row.experiment) & (metrics["state"] == row.state) & (metrics["scale"] == row.scale)
        same &= (metrics["metric"] == row.metric) & (metrics["space"] == row.space) & label & arm & reference
        assert metrics[same]["value"].mean() == pytest.approx(row.mean, rel=1e-4), row
    text = (built / "report.html").read_text(encoding="utf-8")
    section = text[text.index('<h3 id="table_digits">') :]
    cells = re.findall(r'<td class="number">([\d.]+)(?: ± ([\d.]+))?</td>', section[: section.index("</table>")])
    shown = [cell for cell in cells if "." in cell[0]]  # the others are k
    assert len(shown) >= 10
    for mean, spread in shown:
        near = (table["mean"] - float(mean)).abs() <= 0.51 * 10 ** -len(mean.split(".")[1])
        if spread:
            near &= (table["spread"] - float(spread)).abs() <= 0.51 * 10 ** -len(spread.split(".")[1])
        assert near.any(), (mean, spread)


def test_the_addresses_of_pages_are_explained(built):
    for named in ("report", "claims", str(built / "report.html")):
        done = command_line(built.parent, "explain", named)
        assert done.returncode == 0, done.stderr
        assert "dataset/digits-" in done.stdout or named == "claims"
    done = command_line(built.parent, "verify")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_it_on_a_phone_without_errors_and_without_the_network(built, tmp_path, dark):
    """Headless, with a page around it that measures: no sideways scrolling at 375 pixels, every image loaded."""
    text = (built / "report.html").read_text(encoding="utf-8")
    probe = (
        "<script>addEventListener('load',()=>{const d=document.documentElement,i=[...document.images],"
        "c=getComputedStyle(document.body),r={wide:d.scrollWidth,seen:d.clientWidth,"
        "images:i.every(x=>x.complete&&x.naturalWidth>0),n:i.length,text:c.color,paper:c.backgroundColor,"
        "loads:performance.getEntriesByType('resource').filter(e=>!e.name.startsWith('data:')).length};"
        "document.title='PROBE'+JSON.stringify(r)})</script>"
    )
    inner = tmp_path / "inner.html"
    inner.write_text(text.replace("<head>", "<head>" + probe, 1), encoding="utf-8")
    command = [
        str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=500,900", "--virtual-time-budget=4000", "--enable-logging=stderr", "--v=0", "--dump-dom",
        *(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []),
    ]  # fmt: skip
    outer = tmp_path / "outer.html"  # a window of Chromium is no narrower than 500 pixels: a frame is
    outer.write_text(
        f"<iframe id=f src='{inner.as_uri()}' style='width:375px;height:800px;border:0'></iframe><script>"
        "addEventListener('load',()=>{document.title=f.contentDocument?f.contentDocument.title:'none'})</script>"
    )
    done = subprocess.run(
        [*command, "--allow-file-access-from-files", outer.as_uri()], capture_output=True, text=True, timeout=240
    )
    said = re.search(r"<title>PROBE(\{.*?\})</title>", done.stdout)
    assert said, done.stderr[-2000:]
    seen = json.loads(said[1].replace("&amp;", "&"))
    assert seen["wide"] <= seen["seen"] <= 375  # less where a scroll bar takes its part
    assert seen["images"]
    assert seen["n"] == 1
    assert seen["loads"] == 0
    assert not re.search(r"CONSOLE.*(error|Error|violat)", done.stderr)
    light = lambda colour: sum(int(x) for x in re.findall(r"\d+", colour)[:3])  # noqa: E731
    assert (light(seen["text"]) > light(seen["paper"])) == dark
