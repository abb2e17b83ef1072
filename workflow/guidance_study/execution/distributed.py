"""Training over several processes of one machine: each takes its share of every batch, and gradients are added up.

A job's own process is rank 0. It starts the others, which run the same stage on the same inputs as far as `fit`, where
all of them meet; rank 0 alone writes, and the others end with it, however it ends.
"""

import contextlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from guidance_study.execution import devices
from guidance_study.execution.job import Input, Job
from guidance_study.support.errors import StudyError
from guidance_study.support.progress import log
from guidance_study.support.settings import SETTINGS, setting

COMMAND = [sys.executable, "-c", "from guidance_study.execution.distributed import child; child()"]
BUCKET = 1 << 24  # numbers in one exchange: few calls, and no copy of all gradients in one piece
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
        buckets = list(_buckets(tensors))
        flats = [torch.cat([tensor.reshape(-1) for tensor in bucket]) for bucket in buckets]
        for work in [dist.all_reduce(flat, async_op=True) for flat in flats]:
            work.wait()
        for bucket, flat in zip(buckets, flats, strict=True):
            for tensor, part in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view_as(tensor))

    def agreed(self, number: int, device: torch.device) -> int:
        """The number that rank 0 gave."""
        if self.size == 1:
            return number
        told = torch.tensor(number, device=device)
        dist.broadcast(told, 0)
        return int(told)


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket, size = [], 0
    for tensor in tensors:
        if bucket and size + tensor.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket


@dataclass
class _Place:
    """This process's place among the processes of a job; rank 0 has the others as children."""

    rank: int
    size: int
    folder: Path
    children: dict[int, subprocess.Popen] = field(default_factory=dict)  # by rank

    def meet(self) -> None:
        """Return when every process has come this far; raises what a child failed of on its way."""
        (self.folder / f"ready-{self.rank}").touch()
        while self.rank == 0 and not all((self.folder / f"ready-{rank}").exists() for rank in self.children):
            if failure := self.failure():
                raise failure
            time.sleep(0.05)

    def failure(self) -> StudyError | None:
        """Why a child failed: a StudyError's own sentence, then a signal, then the first of other errors."""
        found = []
        for rank, child in self.children.items():
            if code := child.poll():
                path, name = self.folder / f"error-{rank}", f"process {rank} of the {self.size} of this training"
                error = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
                if error is None:
                    reason = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
                    found.append((1, 0.0, f"{name} {reason}"))
                elif error["expected"]:
                    found.append((0, error["time"], error["sentence"]))
                else:
                    found.append((2, error["time"], f"{name} failed: {error['sentence']}"))
        return StudyError(min(found)[2]) if found else None


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
    meeting = (_place.folder / "meeting").absolute().as_uri()
    dist.init_process_group(backend, init_method=meeting, rank=_place.rank, world_size=_place.size)
    try:
        yield Group(_place.rank, _place.size)
    finally:
        dist.destroy_process_group()
    if _place.rank > 0:
        sys.exit(0)  # what comes after the training is rank 0's alone


def make(stage: str, job: Job) -> int:
    """Run a training stage in `execution.devices` processes, one to a GPU where there are GPUs; returns how many."""
    wanted = min(setting("devices", 1), job.params["training"]["batch"])
    gpus = devices.claim(wanted)
    size = len(gpus) or wanted
    with _others(stage, job, size, gpus) if size > 1 else contextlib.nullcontext():
        importlib.import_module(f"guidance_study.stages.{stage}").make(job)
    return size


@contextlib.contextmanager
def _others(stage: str, job: Job, size: int, gpus: list[str]) -> Iterator[None]:
    """Ranks 1 to size - 1 of a job, each a process, for as long as the block lasts."""
    global _place
    folder, over = Path(tempfile.mkdtemp(prefix="guidance-study-")), threading.Event()
    place = _Place(0, size, folder)
    try:
        for rank in range(1, size):
            place.children[rank] = _started(stage, job, rank, size, folder, gpus)
        threading.Thread(target=_watch, args=(place, over), daemon=True).start()
        _place = place
        yield
    except StudyError:
        raise
    except Exception:
        if failure := _found_out(place):  # the connection broke because another process did
            raise failure from None
        raise
    finally:
        over.set()
        _place = None
        for process in place.children.values():
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _started(stage: str, job: Job, rank: int, size: int, folder: Path, gpus: list[str]) -> subprocess.Popen:
    """The process of a rank. Its stdin stays open for as long as this process lives, and tells it that."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, SETTINGS + "GPU_LOCK": "False"}
    if gpus:
        environment[devices.VISIBLE] = gpus[rank]
    sources = {role: [str(source.path), source.recipe] for role, source in job.inputs.items()}
    told = {"stage": stage, "params": job.params, "inputs": sources, "checkpoints": str(job.checkpoints),
            "rank": rank, "size": size, "folder": str(folder)}  # fmt: skip
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, env=environment)
    with contextlib.suppress(BrokenPipeError):  # a process that ended at once is noticed where all meet
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
    return process


def _found_out(place: _Place) -> StudyError | None:
    deadline = time.monotonic() + NOTICE
    while (failure := place.failure()) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    return failure


def _watch(place: _Place, over: threading.Event) -> None:
    """End a job that does not notice the end of one of its processes: on GPUs a sum may wait for it for ever."""
    while not over.wait(1.0):
        if (failure := place.failure()) and not over.wait(GRACE):
            log(f"error: {failure}")
            os._exit(1)


def child() -> None:
    """All that a process of rank 1 or more does; the job comes as one line on stdin."""
    global _place
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # rank 0 needs this process to end its step; it ends with rank 0
    told = json.loads(sys.stdin.buffer.readline())
    folder = Path(told["folder"])
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    _place = _Place(told["rank"], told["size"], folder)
    inputs = {role: Input(Path(path), recipe) for role, (path, recipe) in told["inputs"].items()}
    try:
        stage = importlib.import_module(f"guidance_study.stages.{told['stage']}")
        stage.make(Job(told["params"], inputs, folder, Path(told["checkpoints"])))
    except Exception as error:
        expected = isinstance(error, StudyError)
        if not expected:
            traceback.print_exc()
        sentence = str(error) if expected else f"{type(error).__name__}: {str(error).partition(os.linesep)[0]}"
        answer = {"expected": expected, "sentence": sentence, "time": time.time()}
        (folder / f"error-{told['rank']}").write_text(json.dumps(answer), encoding="utf-8")
        sys.exit(1)


def _end_with_parent(folder: Path) -> None:
    """The kernel closes the other end of stdin with rank 0, even if that was killed and could not clean up."""
    while os.read(0, 1):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
