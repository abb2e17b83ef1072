"""Long work shows itself: lines with rate and time left without a terminal, a bar with one."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from conftest import TOP
from guidance_study.support import progress

SCRIPT = """
import sys, time
sys.path.insert(0, {path!r})
from pathlib import Path
from guidance_study.support import progress
with progress.logging_to(Path(sys.argv[1])):
    for _ in progress.track(range(20), 40, "work", start=20):
        time.sleep(0.01)
"""


def test_without_a_terminal_lines_go_to_the_log(tmp_path):
    log = tmp_path / "logs" / "job.log"
    code = SCRIPT.format(path=str(TOP / "workflow"))
    done = subprocess.run([sys.executable, "-c", code, str(log)], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""
    assert re.fullmatch(r"work: 40/40, [\d.e+]+/s, 0 s left\n", log.read_text())


def test_with_a_terminal_a_bar_shows_and_the_log_has_its_lines(tmp_path):
    log = tmp_path / "job.log"
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    code = SCRIPT.format(path=str(TOP / "workflow"))
    run = subprocess.Popen([sys.executable, "-c", code, str(log)], stderr=terminal)
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # the terminal closed with its last user
            break
        if not part:
            break
        shown += part
    assert run.wait() == 0
    assert b"work:" in shown
    assert b"/40" in shown
    assert "work: 40/40" in log.read_text()


def test_lines_come_every_few_seconds_and_not_with_every_item(capsys, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(progress.track(range(20), 20, "work")) == list(range(20))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "work: 5/20, 1/s, 15 s left"
    assert len(lines) == 4
