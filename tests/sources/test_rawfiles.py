"""Raw files: downloaded from the first good source, verified, never half there; every problem is one sentence."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from guidance_study.sources import rawfiles
from guidance_study.sources.rawfiles import PLACES, UNPINNED, RawFile, RawFileError, export_places, write_pin

CONTENT = b"weights" * 1000
SHA = hashlib.sha256(CONTENT).hexdigest()
OTHER = "0" * 64


class Site(BaseHTTPRequestHandler):
    """/good, /other (wrong bytes), /short (fewer bytes than announced), /busy (503 once), anything else 404."""

    asked: list[str] = []  # noqa: RUF012 - emptied by the fixture

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/busy" and self.asked.count("/busy") == 1:
            self.send_error(503)
        elif self.path in ("/good", "/other", "/short", "/busy"):
            body = b"<html>" if self.path == "/other" else CONTENT
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:100] if self.path == "/short" else body)
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    """The address of a web server on this machine."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Site, "asked", [])
    server = HTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def naps(monkeypatch):
    """No waiting; the seconds that would have been waited."""
    monkeypatch.delenv(PLACES, raising=False)
    seconds = []
    monkeypatch.setattr(rawfiles.time, "sleep", lambda s: seconds.append(s) if s else None)
    return seconds


def sentence(call) -> str:
    with pytest.raises(RawFileError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_second_mirror_is_asked_where_the_first_has_no_such_file(site, tmp_path, naps):
    file = RawFile(tmp_path / "new" / "w.bin", SHA, (f"{site}/gone", f"{site}/good"))
    assert file.verified().read_bytes() == CONTENT
    assert Site.asked == ["/gone", "/good"]
    assert naps == []
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w.bin"]


def test_wrong_bytes_from_all_mirrors_leave_nothing_and_are_not_asked_for_again(site, tmp_path, naps):
    file = RawFile(tmp_path / "w.bin", SHA, (f"{site}/other", f"{site}/gone"))
    said = sentence(file.fetch)
    assert "w.bin' is missing and could not be downloaded" in said
    assert "snakemake --cores 1 download" in said
    assert f"get {site}/other and put it there" in said
    assert Site.asked == ["/other", "/gone"]
    assert naps == []
    assert list(tmp_path.iterdir()) == []


def test_a_busy_mirror_is_asked_again_after_a_pause(site, tmp_path, naps):
    RawFile(tmp_path / "w.bin", SHA, (f"{site}/busy",)).fetch()
    assert (tmp_path / "w.bin").read_bytes() == CONTENT
    assert Site.asked == ["/busy", "/busy"]
    assert naps == [2]


def test_a_download_that_ends_early_is_none_even_without_a_digest(site, tmp_path, naps):
    said = sentence(RawFile(tmp_path / "w.bin", None, (f"{site}/short",)).fetch)
    assert "/short ended after 100 of 7000 bytes" in said
    assert naps == [2, 4]
    assert list(tmp_path.iterdir()) == []


def test_no_network_says_what_to_do(tmp_path, naps):
    said = sentence(RawFile(tmp_path / "w.bin", SHA, ("http://127.0.0.1:9/w.bin", "no address")).verified)
    assert "download" in said
    assert "get http://127.0.0.1:9/w.bin and put it there" in said
    assert naps == [2, 4]


def test_a_download_without_a_digest_is_pinned_by_what_came(site, tmp_path):
    file = RawFile(tmp_path / "w.bin", None, (f"{site}/good",))
    assert file.digest == UNPINNED
    file.fetch()
    assert file.digest == SHA
    assert file.missing() is None


def test_a_download_is_held_to_the_pin_beside_it(site, tmp_path):
    (tmp_path / "w.bin.sha256").write_text(f"{OTHER}  w.bin\n")
    said = sentence(RawFile(tmp_path / "w.bin", None, (f"{site}/good",)).fetch)
    assert f"pinned is {OTHER}" in said
    assert not (tmp_path / "w.bin").exists()


def test_wrong_digest_names_the_file_and_both_digests(tmp_path):
    (tmp_path / "w.bin").write_bytes(CONTENT)
    said = sentence(RawFile(tmp_path / "w.bin", OTHER).verified)
    assert f"{tmp_path / 'w.bin'}' has SHA-256 {SHA}, pinned is {OTHER}; remove it" in said


def test_missing_says_what_to_do(tmp_path):
    path = tmp_path / "w.bin"
    assert f"put the file with SHA-256 {SHA} there" in RawFile(path, SHA).missing()
    assert f"then run: python -m guidance_study pin {path}" in RawFile(path).missing()
    assert (
        "run: snakemake --cores 1 download (with the same --configfile), or get http://x and put it there"
        in RawFile(path, SHA, ("http://x",)).missing()
    )
    path.write_bytes(CONTENT)
    assert RawFile(path, SHA).missing() is None
    assert f"no pinned digest; run: python -m guidance_study pin {path}" in RawFile(path).missing()


def test_a_pin_is_written_as_sha256sum_writes_it(tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(CONTENT)
    assert write_pin(path) == SHA
    assert (tmp_path / "w.bin.sha256").read_text() == f"{SHA}  w.bin\n"
    assert RawFile(path).verified() == path
    path.write_bytes(b"other")
    assert "pinned is" in sentence(RawFile(path).verified)


@pytest.mark.parametrize("text", [b"", b"not a digest\n", SHA[:-1].encode(), SHA.upper().encode(), b"\xff\xfe"])
def test_a_pin_that_holds_no_digest_is_none(tmp_path, text):
    (tmp_path / "w.bin.sha256").write_bytes(text)
    assert RawFile(tmp_path / "w.bin").digest == UNPINNED


def test_a_recipe_without_a_digest_does_not_take_a_pin_of_later(tmp_path):
    path = tmp_path / "w.bin"
    path.write_bytes(CONTENT)
    write_pin(path)
    assert "no pinned digest" in sentence(RawFile(path, UNPINNED).verified)


def test_a_job_finds_files_by_their_digests_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "here" / "w.bin"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    export_places([RawFile(path.relative_to(tmp_path), SHA), RawFile(tmp_path / "unpinned")])
    assert json.loads(rawfiles.os.environ[PLACES]) == {SHA: str(path)}
    monkeypatch.chdir("/")
    for said in ("elsewhere", ""):  # a recipe of weights holds no path
        assert RawFile(rawfiles.Path(said), SHA).verified() == path


def test_what_cannot_be_read_or_written_is_one_sentence(tmp_path, monkeypatch):
    from guidance_study.support import writing

    path = tmp_path / "w.bin"
    path.mkdir()
    assert f"'{path}' cannot be read" in sentence(lambda: write_pin(path))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(writing, "atomic_write", refuse)
    file = tmp_path / "v.bin"
    file.write_bytes(CONTENT)
    said = sentence(lambda: write_pin(file))
    assert "v.bin.sha256' cannot be written: Permission denied; link" in said
