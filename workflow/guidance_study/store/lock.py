"""One run at a time in a store."""

import fcntl
from pathlib import Path

from guidance_study.support.errors import StudyError
from guidance_study.support.writing import explained


class Lock:
    """One run at a time below a results folder. Raises StudyError if another run holds it."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def __enter__(self):
        with explained(self.root / ".lock"):
            self.root.mkdir(parents=True, exist_ok=True)
            self._file = (self.root / ".lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError(f"another run is writing to '{self.root.resolve()}'; wait for it or stop it") from None
        return self

    def __exit__(self, *_):
        self._file.close()
