"""Progress of long work: a bar where there is a terminal, a line every few seconds otherwise."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

INTERVAL = 5.0  # seconds between lines
_log_file = None  # an open file that takes the lines while the terminal takes the bars
_aside = None  # stderr as it was before it went to the log file


def log(message: str) -> None:
    """One line for the rule's log, or for stderr outside a rule. A log that cannot be written stops no work."""
    try:
        print(message, file=_log_file or sys.stderr, flush=True)
    except OSError:
        with contextlib.suppress(OSError):
            print(message, file=_aside or sys.stderr, flush=True)


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send lines to a log file; without a terminal everything else on stdout and stderr goes there too."""
    global _log_file, _aside
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w", encoding="utf-8")
    except OSError as error:
        log(f"'{path}' cannot be written ({error.strerror}): its lines come here")
        yield
        return
    if not sys.stderr.isatty():
        _aside = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8")
        for standard in (sys.stdout, sys.stderr):
            standard.flush()
            os.dup2(stream.fileno(), standard.fileno())
    _log_file = stream
    try:
        yield
    except Exception:
        if sys.stderr.isatty():  # the traceback goes to the terminal; the log is where it is looked for
            with contextlib.suppress(OSError):
                traceback.print_exc(file=stream)
        raise
    finally:
        _log_file = None
        with contextlib.suppress(OSError):  # lines that a full disk did not take
            stream.close()


def track(items: Iterable, total: int, what: str, start: int = 0) -> Iterator:
    """Pass `items` through and show how far they are, at what rate, and how long they will take.

    `total` counts the items of the whole work and `start` those done before, in an earlier run.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        items = tqdm(items, total=total, desc=what, initial=start, dynamic_ncols=True, leave=False)
        if _log_file is None:
            yield from items
            return
    began = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= INTERVAL or start + done == total:
            last = now
            rate = done / max(now - began, 1e-9)
            log(f"{what}: {start + done}/{total}, {rate:.3g}/s, {(total - start - done) / rate:.0f} s left")
