"""Errors that a user can act on: their message is one sentence, shown without a traceback."""


class StudyError(RuntimeError):
    """Something outside the code is wrong: a file, a value, a diverged training; the message says what to do."""
