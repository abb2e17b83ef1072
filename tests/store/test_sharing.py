"""Sharing results: stores of two machines merge by copying, and a bucket holds a store as a folder does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import TINY_POINTS, TOP, command_line, digests, merge, project, read
from guidance_study.__main__ import main
from guidance_study.store.artefacts import Store

pytestmark = pytest.mark.slow

OUTSIDE = (".lock", ".tmp", ".checkpoints", ".shards", "logs", "tables", "figures", "index.tsv")  # docs/sharing.md
RSYNC = ["rsync", "-a", *(f"--exclude=/{name}" for name in (".*", "logs", "tables", "figures", "index.tsv"))]


def by_rsync(source: Path, target: Path) -> None:
    """What docs/sharing.md says: everything but the manifests, then the manifests."""
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    for more in (["--exclude=manifest.json"], []):
        subprocess.run([*RSYNC, *more, f"{source}/results/", f"{target}/results/"], check=True)


def by_copying(source: Path, target: Path) -> None:
    """The same in Python, for machines without rsync."""
    for last in (False, True):
        for path in sorted((source / "results").rglob("*")):
            relative = path.relative_to(source / "results")
            if relative.parts[0] not in OUTSIDE and path.is_file() and (path.name == "manifest.json") == last:
                (target / "results" / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target / "results" / relative)


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    """Two projects of one tiny study, `table_scale` made in one and `table_other` in the other: (folder, folder)."""
    tmp = tmp_path_factory.mktemp("machines")
    config = merge(read(TOP / "config.yaml"), TINY_POINTS)
    config["tables"]["table_other"] = config["tables"]["table_scale"] | {"title": "Another title"}
    config["all"] = ["table_scale", "table_other"]
    folders = [project.__wrapped__(tmp)(config, name) for name in ("laptop", "server")]
    for folder, target in zip(folders, config["all"], strict=True):
        done = command_line(folder, "run", target)
        assert done.returncode == 0, done.stderr
    return tuple(folders)


@pytest.fixture
def pair(machines, tmp_path):
    """Copies of the two, to be changed."""
    return tuple(Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in machines)


def call(folder: Path, capsys, command: str, *arguments: str) -> tuple[int, str]:
    """Exit status and output of a look at a project's store, in this process."""
    capsys.readouterr()
    config = ["--config", str(folder / "config.yaml")] if command == "plan" else []
    return main([command, *arguments, *config, "--results", str(folder / "results")]), capsys.readouterr().out


@pytest.mark.parametrize("merged", [by_rsync, by_copying])
def test_merged_stores_are_sound_and_nothing_is_left_to_make(pair, merged, capsys):
    laptop, server = pair
    before, other = digests(laptop), digests(server)
    assert len(before.keys() & other.keys()) == 6
    assert len(other.keys() - before.keys()) == 1
    merged(server, laptop)
    assert digests(laptop) == before | other
    assert call(laptop, capsys, "verify") == (0, "8 artefacts, 0 damaged files\n")
    _, planned = call(laptop, capsys, "plan", "table_scale", "table_other")
    assert planned.splitlines()[-1] == "8 exists, 0 to make, 0 missing, 0 blocked"


def test_published_copies_and_the_index_come_with_the_next_run(pair):
    laptop, server = pair
    by_copying(server, laptop)
    copy = "results/tables/table_other.md"
    assert not (laptop / copy).exists()
    done = command_line(laptop, "run")
    assert "0 artefacts made" in done.stdout, done.stderr
    assert (laptop / copy).read_bytes() == (server / copy).read_bytes()
    index = (laptop / "results" / "index.tsv").read_text()
    assert all(address in index for address in digests(server))


def test_half_copied_artefacts_are_named_never_used_and_made_again(pair, capsys):
    laptop, server = pair
    expected = digests(laptop) | digests(server)
    by_copying(server, laptop)
    table = next(a for a in expected if "table_other" in a)
    trajectories = next(a for a in expected if a.startswith("trajectories/"))
    (laptop / "results" / table / "manifest.json").unlink()  # the copying was stopped before it
    array = laptop / "results" / trajectories / "trajectories.npy"
    array.write_bytes(array.read_bytes()[:1000])  # and a tool that does not write beside and rename left this
    status, found = call(laptop, capsys, "verify")
    assert status == 1
    assert f"{table}/manifest.json' is missing" in found
    assert f"{trajectories}/trajectories.npy' is damaged" in found
    stopped = command_line(laptop, "run")
    assert stopped.returncode == 2
    assert re.search(r"trajectories\.npy' is damaged.*; delete '.*' and run again to rebuild it", stopped.stderr)
    shutil.rmtree(laptop / "results" / trajectories)
    done = command_line(laptop, "run")
    assert "2 artefacts made" in done.stdout, done.stderr
    assert call(laptop, capsys, "verify")[0] == 0
    assert digests(laptop) == expected


def test_copying_again_mends_a_truncated_copy(pair, capsys):
    laptop, server = pair
    array = next((laptop / "results" / "trajectories").glob("*/trajectories.npy"))
    array.write_bytes(array.read_bytes()[:1000])
    by_copying(server, laptop)
    assert call(laptop, capsys, "verify") == (0, "8 artefacts, 0 damaged files\n")


def test_a_store_goes_through_a_bucket_and_back(machines, tmp_path, monkeypatch):
    """Against a local S3 server: data first, manifests last, then a store fetched on a third machine."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (pip install -e .[sharing])")
    server = pytest.importorskip("moto.server", reason="moto is not installed (pip install -e .[sharing])")
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "DEFAULT_REGION"):
        monkeypatch.setenv(f"AWS_{name}", "us-east-1")
    s3 = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    s3.start()
    try:
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3.get_host_and_port()[1]}")
        client.create_bucket(Bucket="study")
        for folder in machines:  # both machines push into the same bucket
            push(client, folder / "results")
        names = [entry["Key"] for entry in client.list_objects_v2(Bucket="study")["Contents"]]
        assert not any(name.startswith(OUTSIDE) for name in names)
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            client.download_file("study", name, str(tmp_path / name))
    finally:
        s3.stop()
    store, expected = Store(tmp_path), digests(machines[0]) | digests(machines[1])
    assert {address: store.manifest(address)["files"] for address in store.addresses()} == expected
    assert [damage for address in expected for damage in store.damages(address)] == []


def push(client, results: Path) -> None:
    """What two calls of `aws s3 sync` or `rclone copy` do: the data, then the manifests."""
    for last in (False, True):
        for path in sorted(results.rglob("*")):
            name = str(path.relative_to(results))
            if path.is_file() and not name.startswith(OUTSIDE) and (path.name == "manifest.json") == last:
                client.upload_file(str(path), "study", name)
