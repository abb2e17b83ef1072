"""The whole chain, small, through Snakemake: what runs, what does not run again, and what survives."""

import json
import re
import shutil
import subprocess
import time

import pytest
from conftest import command_line, digests, environment, snakemake_command

pytestmark = pytest.mark.slow


def jobs_of(output: str) -> dict[str, int]:
    """Rule -> number of jobs, from a dry run's statistics."""
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", output, flags=re.M) if name != "total"}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A finished tiny study: (folder, digests of everything in it)."""
    import conftest

    tmp = tmp_path_factory.mktemp("built")
    config = conftest.merge(conftest.read(conftest.TOP / "config.yaml"), conftest.TINY)
    folder = conftest.project.__wrapped__(tmp)(config)
    done = subprocess.run(
        snakemake_command(), cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    return folder, digests(folder)


def test_every_output_is_there_and_says_what_it_is(built):
    folder, _ = built
    for name in ("table_digits", "table_digits_nn", "table_digits_quality"):
        for suffix in ("csv", "md", "html", "tex"):
            assert (folder / "results" / "tables" / f"{name}.{suffix}").stat().st_size > 200
    for name in ("fig_digits_samples", "fig_digits_pca"):
        assert (folder / "results" / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (folder / "results" / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    text = (folder / "results" / "tables" / "table_digits.md").read_text()
    assert "3 disjoint repeats of 60 generations" in text
    assert "retrieval control" in text
    assert "training seed 0;" in text
    index = (folder / "results" / "index.tsv").read_text().splitlines()
    assert index[0] == "address\tname"
    addresses = {line.split("\t")[0] for line in index[1:]}
    assert set(digests(folder)) <= addresses
    logs = folder / "results" / "logs"
    denoiser_log = next((logs / "denoiser").iterdir()).read_text()
    assert re.search(r"train/denoiser: 30/30, [\d.e+]+/s, 0 s left", denoiser_log)
    assert "BLAS cores in use: " in next((logs / "neighbours").iterdir()).read_text()
    assert not any((folder / "results" / ".tmp").iterdir())


def test_measured_numbers_follow_from_the_arrays(built):
    """The table's Frechet distance before postprocessing, recomputed here from the stored arrays."""
    import numpy as np
    import pandas as pd
    from guidance_study.execution.job import Input
    from guidance_study.metrics.frechet import Gaussian, frechet_distance
    from guidance_study.networks.models import features, load_classifier
    from guidance_study.store.artefacts import Store

    folder, _ = built
    store = Store(folder / "results")
    measures = next(a for a in store.addresses() if a.startswith("measures/cfg"))
    inputs = store.manifest(measures)["recipe"]["inputs"]
    load = lambda role, name: np.load(store.open(inputs[role]) / name)  # noqa: E731
    network = load_classifier(Input(store.open(inputs["evaluator"]), store.manifest(inputs["evaluator"])["recipe"]))
    real = Gaussian.of(features(network, load("dataset", "train.npy")))
    samples = load("samples", "samples.npy")
    blocks = [frechet_distance(Gaussian.of(features(network, b)), real) for b in np.array_split(samples, 3)]
    table = pd.read_csv(folder / "results" / "tables" / "table_digits.csv", keep_default_na=False)
    row = table.query("experiment == 'digits_cfg' and state == 'before' and reference == 'train' and scale == 2.5")
    assert float(row["mean"].item()) == pytest.approx(np.mean(blocks), rel=1e-4)
    assert float(row["minimum"].item()) == pytest.approx(min(blocks), rel=1e-4)
    assert float(row["spread"].item()) == pytest.approx(np.std(blocks, ddof=1), rel=1e-3)


def test_a_second_run_does_nothing(built, snakemake):
    folder, _ = built
    assert "Nothing to be done" in snakemake(folder).stdout


def test_a_comment_in_the_code_or_the_configuration_reruns_nothing(built, snakemake):
    folder, _ = built
    for path in (
        folder / "config.yaml",
        folder / "workflow/guidance_study/training/loop.py",
        folder / "workflow/scripts/denoiser.py",
    ):
        path.write_text(path.read_text() + "\n# a remark\n")
    assert "Nothing to be done" in snakemake(folder, "-n").stdout


def test_another_configuration_and_back_shows_each_ones_table(built, snakemake, project, tiny):
    folder, _ = built
    tiny["tables"]["table_digits"]["title"] = "Another title"
    other = project(tiny, "title")
    (other / "results").symlink_to(folder / "results")
    shown = folder / "results" / "tables" / "table_digits.md"
    before = shown.read_text()
    assert jobs_of(snakemake(other, "-n").stdout) == {"table": 1, "all": 1}
    snakemake(other)
    assert shown.read_text() == before.replace(before.splitlines()[0], "**Another title**")
    assert "Nothing to be done" in snakemake(folder).stdout
    assert shown.read_text() == before


def test_a_new_scale_runs_its_own_jobs_and_nothing_else(built, snakemake, project, tiny):
    folder, _ = built
    tiny["experiments"]["digits_cfg"]["evaluation"]["scales"] = [2.5, 4.0]
    other = project(tiny, "scale")
    (other / "results").symlink_to(folder / "results")  # the same store, another configuration
    counts = jobs_of(snakemake(other, "-n", "table_digits_nn").stdout)
    assert counts == {"samples": 1, "postprocessed": 3, "measures": 1, "table": 1, "table_digits_nn": 1}


def test_another_k_trains_no_base_model_and_draws_no_samples(built, snakemake, project, tiny):
    folder, _ = built
    tiny["experiments"]["digits_cfg"]["arms"] = [{"space": "pixels", "k": 7, "postprocessor": "digits"}]
    tiny["tables"] = {"table_digits_nn": tiny["tables"]["table_digits_nn"]}
    tiny |= {"figures": {}, "all": ["table_digits_nn"]}
    other = project(tiny, "k")
    (other / "results").symlink_to(folder / "results")
    counts = jobs_of(snakemake(other, "-n").stdout)
    assert counts == {"neighbours": 1, "postprocessor": 1, "postprocessed": 1, "measures": 1, "table": 1, "all": 1}


def test_one_table_builds_its_ancestors_and_nothing_else(snakemake, project, tiny):
    folder = project(tiny)
    counts = jobs_of(snakemake(folder, "-n", "table_digits").stdout)
    expected = {
        "dataset": 1, "denoiser": 2, "classifier": 3, "samples": 4, "neighbours": 4, "postprocessor": 4,
        "postprocessed": 4, "measures": 2, "table": 1, "table_digits": 1,
    }  # fmt: skip
    assert counts == expected


def test_snakemake_and_one_process_make_the_same_bytes(built, project, tiny):
    """Two runs in two folders, one of them without Snakemake: every artefact has the same digests."""
    _, expected = built
    folder = project(tiny, "alone")
    done = command_line(folder, "run")
    assert done.returncode == 0, done.stderr
    assert digests(folder) == expected
    assert "0 artefacts made" in command_line(folder, "run").stdout


def test_plan_counts_what_is_there_and_what_is_not(built, project, tiny):
    folder, expected = built
    assert f"{len(expected)} exists, 0 to make, 0 missing, 0 blocked" in command_line(folder, "plan").stdout
    fresh = project(tiny, "fresh")
    lines = command_line(fresh, "plan", "table_digits").stdout.splitlines()
    assert lines[0].startswith("to make  dataset/digits-")
    assert lines[-1].startswith("0 exists, ")
    unknown = command_line(fresh, "plan", "table_9")
    assert unknown.returncode == 2
    assert "'table_9' is no table, figure or page" in unknown.stderr
    refused = subprocess.run(
        snakemake_command("-n", "figure"), cwd=fresh, env=environment(), text=True, capture_output=True
    )
    assert refused.returncode != 0
    assert "'figure' is no table, figure or page of this configuration" in refused.stdout + refused.stderr


def test_explain_leads_from_a_table_to_its_raw_file(built):
    folder, expected = built
    text = command_line(folder, "explain", "results/tables/table_digits.csv").stdout
    assert "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22" in text  # the digits' SHA-256
    manifest = json.loads((folder / "results/tables/table_digits.manifest.json").read_text())
    for needed in ("denoiser/", "classifier/", "neighbours/", "postprocessor/", manifest["run"]["hardware"]["cpu"]):
        assert needed in text
    array = next(a for a in expected if a.startswith("postprocessed/"))
    for named in (f"results/{array}/samples.npy", f"results/{array}", array):
        assert "nfe" in command_line(folder, "explain", named).stdout


def test_a_flipped_byte_is_named_never_used_and_rebuilt(built, snakemake, project, tiny):
    folder, expected = built
    assert command_line(folder, "verify").returncode == 0
    address = next(a for a in expected if a.startswith("samples/cg-2.5"))
    path = folder / "results" / address / "samples.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
    found = command_line(folder, "verify")
    assert found.returncode == 1
    assert f"{address}/samples.npy' is damaged" in found.stdout
    for needed in expected:
        if needed.startswith(("table/table_digits-", "measures/cg-")):
            (folder / "results" / needed / "manifest.json").unlink()
    stopped = snakemake(folder, check=False)
    assert stopped.returncode != 0
    assert "samples.npy' is damaged" in stopped.stdout
    for leftover in path.parent.iterdir():
        leftover.unlink()
    snakemake(folder)
    rebuilt = digests(folder)
    assert {address: rebuilt[address] for address in expected} == expected


@pytest.mark.parametrize("mistake", ["scale", "twice"])
def test_a_mistake_stops_before_any_job(project, tiny, snakemake, mistake):
    folder = project(tiny)
    if mistake == "scale":
        tiny["experiments"]["digits_cfg"]["pool"]["scales"] = [-1.0]
        expected = "configuration key 'experiments.digits_cfg.pool.scales[0]' has the value -1.0"
        (folder / "config.yaml").write_text(json.dumps(tiny))
    else:
        (folder / "config.yaml").open("a").write("\nseeds: [1]\n")
        expected = "the name 'seeds' is used twice"
    done = snakemake(folder, check=False)
    assert done.returncode != 0
    assert expected in done.stdout
    assert "Traceback" not in done.stdout
    assert not (folder / "results").exists()


def test_two_runs_at_once_are_refused(project, tiny, snakemake):
    from guidance_study.store.lock import Lock

    folder = project(tiny)
    with Lock(folder / "results"):
        done = snakemake(folder, check=False)
        assert done.returncode != 0
        assert "another run is writing to" in done.stdout
        assert "another run is writing to" in command_line(folder, "run").stderr


def test_only_snakemake_killed_its_job_outlives_it_and_the_next_run_finishes(built, project, tiny):
    """SIGKILL to the main process alone, during a training: the orphan and the next run meet at the artefact."""
    _, expected = built
    tiny["models"]["digits_conditional"]["training"]["steps"] = 400  # a few seconds, to be met
    folder = project(tiny, "orphan")
    log = (folder / "run.log").open("w")
    run = subprocess.Popen(snakemake_command(), cwd=folder, env=environment(), stdout=log, stderr=log)
    deadline = time.monotonic() + 120
    while not any((folder / "results").glob(".tmp/denoiser*-conditional*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    run.kill()
    run.wait()
    done = subprocess.run(snakemake_command(), cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built_now = digests(folder)
    shared = [a for a in expected if a.startswith(("dataset", "classifier")) or "unconditional" in a]
    assert {a: built_now[a] for a in shared} == {a: expected[a] for a in shared}
    assert command_line(folder, "verify").returncode == 0


def test_an_artefact_that_snakemake_thinks_incomplete_stops_no_target(built, snakemake, project, tiny):
    """A kill between an artefact's last rename and Snakemake's book-keeping leaves its mark of incompleteness."""
    import base64

    folder = project(tiny, "marked")
    shutil.copytree(built[0] / "results", folder / "results")
    shutil.rmtree(folder / "results" / "tables")
    for table in (folder / "results" / "table").iterdir():
        (table / "manifest.json").unlink()
    marks = folder / ".snakemake" / "incomplete"
    marks.mkdir(parents=True)
    for manifest in (folder / "results").glob("classifier/*/manifest.json"):
        name = base64.b64encode(str(manifest.relative_to(folder)).encode()).decode()
        (marks / name).write_text("0")
    assert jobs_of(snakemake(folder, "-n").stdout)["table"] >= 3
    snakemake(folder)
    assert (folder / "results" / "tables" / "table_digits.md").is_file()


def test_figures_and_tables_carry_no_dates(built):
    """Their bytes are part of what two runs share; a date inside would change them."""
    folder, _ = built
    year = time.strftime("%Y").encode()
    for path in (folder / "results" / "figures").glob("*.pdf"):
        assert b"CreationDate" not in path.read_bytes()
    for path in (folder / "results" / "tables").glob("*.md"):
        assert year not in path.read_bytes()
