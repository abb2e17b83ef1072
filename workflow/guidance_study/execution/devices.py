"""GPUs of one machine: a lock for each, so that local jobs do not land on the same one; and batches that fit into them.

The locks are the kernel's and end with their process. Under Slurm, which hands out GPUs itself, there are none.
"""

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from guidance_study.support.errors import StudyError
from guidance_study.support.progress import log
from guidance_study.support.settings import SETTINGS, setting

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL = 1.0  # seconds between two looks for a free GPU
_all: list[str] | None = None  # GPUs that this process may have, None until the first claim
_mine: list[str] = []  # those that it has
_handles: list[int] = []  # open files whose locks hold them


class TooFewGPUs(StudyError):
    """A job asks for more GPUs than there are."""


def count() -> int:
    """How many GPUs CUDA will show, asked of the driver's management library, so that CUDA is not set up by asking."""
    return torch.cuda.device_count()


def visible() -> list[str]:
    """The GPUs that this process may use, named as in CUDA_VISIBLE_DEVICES; [] without any."""
    found, names = count(), os.environ.get(VISIBLE)
    if names is None:
        return [str(i) for i in range(found)]
    return [name.strip() for name in names.split(",") if name.strip()][:found]


def claim(number: int = 1) -> list[str]:
    """The first `number` GPUs of this process, from the first call to its end; waits until so many are free.

    [] where there is no GPU or the run shall not use one. A process that holds some and wants more does not wait for
    them, for two of that kind would wait for each other: it gets those that are free. Call it before CUDA is set up.
    """
    global _all, _mine
    if os.environ.get(SETTINGS + "DEVICE") == "cpu":
        return []
    first, _all = _all is None, visible() if _all is None else _all
    if _all and number > len(_all):
        raise TooFewGPUs(f"execution.devices is {number}, but GPUs that this job may use are {', '.join(_all)}")
    if first and not locking():
        _mine = _all
    elif _all and number > len(_mine):
        _mine = _mine + _locked([name for name in _all if name not in _mine], number - len(_mine), wait=first)
        if first:
            os.environ[VISIBLE] = ",".join(_mine)
    return _mine[:number]


def locking() -> bool:
    """Whether jobs lock their GPUs: not outside a run, under Slurm, or where `execution.gpu_lock` is false."""
    return "SLURM_JOB_ID" not in os.environ and setting("gpu_lock", False)


def folder() -> Path:
    """Where the locks of a user are."""
    return Path(tempfile.gettempdir()) / f"guidance-study-gpus-{os.getuid()}"


def _locked(names: list[str], number: int, wait: bool) -> list[str]:
    """`number` of these GPUs, locked; fewer where not waiting. One process collects at a time, the others queue."""
    try:
        folder().mkdir(mode=0o700, exist_ok=True)
        queue = _open("queue")
    except OSError as error:
        log(f"GPUs cannot be locked ({error}); jobs may share one")
        return names[:number]
    got: list[str] = []
    waiting = f"{number} of the GPUs {', '.join(names)} must be free; waiting (execution.gpu_lock: false shares them)"
    try:
        said = not wait or not _lock(queue)
        if said and wait:
            log(waiting)
            fcntl.flock(queue, fcntl.LOCK_EX)
        while True:
            for name in names:
                if len(got) < number and name not in got and _taken(name):
                    got.append(name)
            if len(got) == number or not wait:
                return got
            if not said:
                log(waiting)
            said = True
            time.sleep(POLL)
    finally:
        os.close(queue)


def _taken(name: str) -> bool:
    """Lock a GPU for the life of this process; False if another one has it."""
    handle = _open(name.replace("/", "_"))
    if _lock(handle):
        _handles.append(handle)
        return True
    os.close(handle)
    return False


def _open(name: str) -> int:
    return os.open(folder() / name, os.O_RDWR | os.O_CREAT, 0o600)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def halving(compute: Callable[[int, int], Tensor], first: int, last: int) -> Tensor:
    """compute(first, last), the rows first..last-1; where memory does not suffice, of each half in turn.

    Only for rows that do not depend on one another: a block of an adaptive solver is part of its recipe.
    """
    try:
        return compute(first, last)
    except torch.OutOfMemoryError as error:
        if last - first < 2:
            raise StudyError(f"the GPU's memory does not hold a single sample ({_brief(error)})") from None
    # Here, outside the handler, nothing holds the tensors of the failed attempt any more.
    torch.cuda.empty_cache()
    middle = (first + last + 1) // 2
    log(
        f"the GPU's memory does not hold a batch of {last - first} (execution.inference_batch);"
        f" going on with {middle - first}"
    )
    return torch.cat([halving(compute, first, middle), halving(compute, middle, last)])


@contextlib.contextmanager
def undivided(what: str, key: str) -> Iterator[None]:
    """Where a batch must not be split: too little memory becomes one sentence that names the key to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise StudyError(f"the GPU's memory does not hold {what} ({_brief(error)}); lower '{key}'") from None


def _brief(error: Exception) -> str:
    return str(error).split(". ")[0]
