"""Training over several processes of one machine: each takes its share of every batch, and gradients are added up.

A job's own process is rank 0. It starts the others, which run the same stage on the same inputs as far as `fit`, where
all of them meet; rank 0 alone writes, and the others end with it, however it ends. torch.multiprocessing starts them
and has the kernel end them with rank 0; what it does not say, which of them failed first and why, they tell a store.
"""

import contextlib
import importlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import ModuleType

import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing

from guidance_study.execution import devices
from guidance_study.execution.job import Job
from guidance_study.execution.loaded import as_planned
from guidance_study.support.errors import StudyError
from guidance_study.support.progress import log
from guidance_study.support.settings import SETTINGS

HOST = "127.0.0.1"
NOTICE = 5.0  # seconds in which the process that broke a connection is found out
GRACE = 30.0  # seconds that a job gets to notice that one of its processes failed


@dataclass(frozen=True)
class Group:
    """The processes of a training, as one of them sees it."""

    rank: int = 0
    size: int = 1

    def share(self, batch: int) -> slice:
        """The rows of a batch that are this process's; shares differ by one row at most."""
        return slice(self.rank * batch // self.size, (self.rank + 1) * batch // self.size)

    def add_up(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, the same bits in all of them."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def agreed(self, number: int, device: torch.device) -> int:
        """The number that rank 0 gave."""
        if self.size == 1:
            return number
        told = torch.tensor(number, device=device)
        dist.broadcast(told, 0)
        return int(told)


@dataclass(frozen=True)
class _Place:
    """This process's place among the processes of a job; rank 0 has the others as children."""

    rank: int
    size: int
    store: dist.Store  # where they meet, and what they tell each other
    children: Sequence[BaseProcess] = ()  # ranks 1 to size - 1

    def meet(self) -> None:
        """Return when every process has come this far; raises what another failed of on its way."""
        self.store.add("ready", 1)
        while self.rank == 0 and self.store.add("ready", 0) < self.size:
            if failure := self.failure():
                raise StudyError(failure)
            time.sleep(0.05)

    def report(self, error: Exception) -> str:
        """Tell the others what this process fails of; of several sentences, and of other errors, the first stands."""
        if expected := isinstance(error, StudyError):
            told = str(error)
        else:
            reason = f"{type(error).__name__}: {str(error).partition(os.linesep)[0]}"
            told = f"process {self.rank} of the {self.size} of this training failed: {reason}"
        self.store.compare_set("sentence" if expected else "error", "", told)
        return told

    def failure(self) -> str | None:
        """Why a process failed: a StudyError's own sentence, then an end without a word, then the first other error."""
        if self.store.check(["sentence"]):
            return self.store.get("sentence").decode()
        told = self.store.check(["error"])
        for rank, process in enumerate(self.children, 1):
            if (code := process.exitcode) and not (told and code == 1):
                reason = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
                return f"process {rank} of the {self.size} of this training {reason}"
        return self.store.get("error").decode() if told else None


_place: _Place | None = None  # None: this process trains alone


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """The group of this job's processes, all of which are in the block together."""
    if _place is None:
        yield Group()
        return
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")  # one machine
    _place.meet()
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=_place.store, rank=_place.rank, world_size=_place.size)
    yield Group(_place.rank, _place.size)  # an error leaves the group as it is until it was reported
    dist.destroy_process_group()
    if _place.rank > 0:
        sys.exit(0)  # what comes after the training is rank 0's alone


def make(stage: str, job: Job, wanted: int) -> int:
    """Run a training stage in so many processes, one to a GPU where there are GPUs; returns how many they were."""
    gpus = devices.claim(wanted)
    size = len(gpus) or wanted
    with _others(stage, job, size, gpus) if size > 1 else contextlib.nullcontext():
        importlib.import_module(f"guidance_study.stages.{stage}").make(job)
    return size


@contextlib.contextmanager
def _others(stage: str, job: Job, size: int, gpus: list[str]) -> Iterator[None]:
    """Ranks 1 to size - 1 of a job, each a process, for as long as the block lasts."""
    global _place
    listening, over = socket.create_server((HOST, 0)), threading.Event()
    port = listening.getsockname()[1]
    store = dist.TCPStore(HOST, port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach())
    _place = place = _Place(0, size, store, _started(child, (stage, job, size, port, gpus), size - 1))
    threading.Thread(target=_watch, args=(place, over), daemon=True).start()
    try:
        yield
        for process in place.children:
            process.join(GRACE)  # at its end it may find that it ran other code than was planned
        if failure := place.failure():
            raise StudyError(failure)
    except StudyError:
        raise
    except Exception as error:
        mine = place.report(error)
        if place.failure() == mine:  # nobody told another reason, but one may just have ended without a word
            ended = connection.wait([process.sentinel for process in place.children], NOTICE)
            for process in place.children:
                if process.sentinel in ended:  # its files are closed, its status comes a moment later
                    process.join(NOTICE)
        if (failure := place.failure()) != mine:
            raise StudyError(failure) from None
        raise
    finally:
        over.set()
        _place = None
        for process in place.children:
            process.kill()
            process.join()
        if dist.is_initialized():
            dist.destroy_process_group()


def _started(function: Callable, arguments: tuple, number: int) -> Sequence[BaseProcess]:
    """Processes that run function(i, *arguments), i from 0."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")  # else each ran this script anew
    try:
        return multiprocessing.start_processes(function, arguments, number, join=False, start_method="spawn").processes
    finally:
        sys.modules["__main__"] = main


def _watch(place: _Place, over: threading.Event) -> None:
    """End a job that does not notice the end of one of its processes: on GPUs a sum may wait for it for ever."""
    while not over.wait(1.0):
        if (failure := place.failure()) and not over.wait(GRACE):
            log(f"error: {failure}")
            os._exit(1)


def child(index: int, stage: str, job: Job, size: int, port: int, gpus: list[str]) -> None:
    """All that a process of rank 1 or more does."""
    global _place
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # rank 0 needs this process to end its step
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the kernel sends it when rank 0 ends, whatever is computed then
    rank = index + 1
    os.environ[SETTINGS + "GPU_LOCK"] = "False"  # rank 0 holds the locks
    if gpus:
        os.environ[devices.VISIBLE] = gpus[rank]
    _place = _Place(rank, size, dist.TCPStore(HOST, port))
    try:
        with as_planned(job.units), contextlib.suppress(SystemExit):  # `joined` ends the work
            importlib.import_module(f"guidance_study.stages.{stage}").make(job)
    except Exception as error:
        if not isinstance(error, StudyError):
            traceback.print_exc()
        _place.report(error)
        sys.exit(1)
