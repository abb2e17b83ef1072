"""A quiet terminal for Snakemake: `snakemake --logger lines`. A line for each finished job, with the time left.

Found by Snakemake through its name, as every logger plugin is. The whole log stays in .snakemake/log, and each job's
own below results/logs.
"""

import sys
import time
from logging import WARNING, LogRecord
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

WIDTH = 160  # characters of a line at most
PLAIN = ("Nothing to be done", "Complete log")  # what else of Snakemake's own is worth a line
CAUSES = 3  # last lines of a failed job's own log


class LogHandler(LogHandlerBase):
    """Writes to stderr."""

    writes_to_stream, writes_to_file = True, False
    has_filter = has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.about: dict[int, str] = {}  # job -> what it makes
        self.finished: list[int] = []  # since the last progress
        self.began = time.monotonic()

    def emit(self, record: LogRecord) -> None:
        """What is worth a line of a record."""
        event: Any = getattr(record, "event", None)
        write = {
            LogEvent.RUN_INFO: self._start,
            LogEvent.JOB_INFO: self._job,
            LogEvent.JOB_FINISHED: self._done,
            LogEvent.PROGRESS: self._progress,
            LogEvent.JOB_ERROR: self._failed,
            LogEvent.GROUP_ERROR: self._failed,
        }.get(event)
        if write:
            write(record)
        elif record.levelno >= WARNING or record.getMessage().startswith(PLAIN):
            self._line(record.getMessage())

    def _start(self, record: LogRecord) -> None:
        jobs = getattr(record, "stats", {}).get("total", 0)
        self._line(f"{jobs} jobs; what each does in full: results/logs")
        self.began = time.monotonic()

    def _job(self, record: Any) -> None:
        said = (record.rule_msg or record.rule_name).strip().splitlines()
        self.about[record.jobid] = said[0] if said else record.rule_name

    def _done(self, record: Any) -> None:
        self.finished.append(record.job_id)

    def _progress(self, record: Any) -> None:
        """One line for each job that is done; the time left as if the others took as long as these."""
        for job in self.finished:
            left = (time.monotonic() - self.began) / max(record.done, 1) * (record.total - record.done)
            about = self.about.pop(job, "everything")
            self._line(f"{record.done:{len(str(record.total))}}/{record.total}  {_minutes(left):>9} left  {about}")
        self.finished.clear()

    def _failed(self, record: Any) -> None:
        about = self.about.get(getattr(record, "jobid", -1), "a job")
        self._line(f"failed: {about}")
        for log in getattr(record, "log", None) or []:
            self._line(f"  its log: {log}")
            for line in _end(Path(str(log))):
                self._line(f"    {line}")

    def _line(self, text: str) -> None:
        for line in text.splitlines():
            shown = line if len(line) <= WIDTH else line[: WIDTH - 4] + " ..."
            print(shown, file=sys.stderr, flush=True)


def _minutes(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _end(log: Path) -> list[str]:
    """The last lines of a log, if it can be read."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-CAUSES:]
    except OSError:
        return []
