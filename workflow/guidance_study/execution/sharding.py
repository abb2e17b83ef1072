"""Rows of one large array, computed unit by unit, by one job or by several shards that any node can take.

Shards write into one file, each its own rows, and a small marker; the job that finishes the artefact links that file
into it, so that merging copies nothing. The blocks of an
adaptive solver are the same however many shards there are; batches of other work are not, and change rounding alone.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guidance_study.execution.job import Job
from guidance_study.support.errors import StudyError
from guidance_study.support.progress import track
from guidance_study.support.reading import Unreadable, read_json
from guidance_study.support.writing import atomic_write, explained, reserve


@dataclass(frozen=True)
class Work:
    """An array file to fill: its shape, units (first row, last row, ...), and what computes one.

    `compute(*unit)` returns the unit's rows, float32, and a fact of them (evaluations, for instance) or None.
    """

    name: str
    shape: tuple[int, ...]
    units: list[tuple]
    compute: Callable[..., tuple[np.ndarray, object]]


def rows(job: Job, work: Callable[[Job], Work]) -> list:
    """Write the array of `work(job)` into the artefact, or take over what shards wrote; the units' facts in order."""
    if job.shards:
        return _merged(job)
    todo = work(job)
    out = np.lib.format.open_memmap(job.out / todo.name, "w+", np.float32, todo.shape)
    reserve(job.out / todo.name)
    facts = []
    for unit in track(todo.units, len(todo.units), f"units of {todo.name}"):
        out[unit[0] : unit[1]], fact = todo.compute(*unit)
        facts.append(fact)
    out.flush()
    return facts


def shard(job: Job, work: Callable[[Job], Work], i: int, n: int, marker: Path) -> None:
    """Compute the i-th of n shards: its rows into the file beside `marker`, then the marker, atomically."""
    todo = work(job)
    mine = [todo.units[u] for u in np.array_split(np.arange(len(todo.units)), n)[i]]
    path, digest, facts = marker.parent / todo.name, hashlib.sha256(), []
    start = _prepared(path, todo.shape)
    with explained(path), path.open("r+b", buffering=0) as out:
        for unit in track(mine, len(mine), f"units of {todo.name}, shard {i} of {n}"):
            found, fact = todo.compute(*unit)
            content = np.ascontiguousarray(found, dtype="<f4").tobytes()
            os.pwrite(out.fileno(), content, start + unit[0] * _row_bytes(todo.shape))
            digest.update(content)
            facts.append(fact)
        os.fsync(out.fileno())
    covered = [int(mine[0][0]), int(mine[-1][1])] if mine else [0, 0]
    said = {"name": todo.name, "shape": list(todo.shape), "rows": covered, "facts": facts, "sha256": digest.hexdigest(),
            "inputs": _read(job)}  # fmt: skip
    atomic_write(marker, (json.dumps(said) + "\n").encode())


def _merged(job: Job) -> list:
    """Link the file that shards wrote into the artefact, every shard's bytes verified; the units' facts in order."""
    said = [(_marker(marker), marker) for marker in job.shards]
    said.sort(key=lambda pair: pair[0]["rows"])
    first, marker = said[0]
    source, shape = marker.parent / first["name"], tuple(first["shape"])
    start, done = len(_header(shape)), 0
    facts: list = []
    if not source.is_file() or source.stat().st_size != start + shape[0] * _row_bytes(shape):
        raise _again(job.shards, f"'{source}' is missing or has another size than its shards say")
    with source.open("rb") as stream:
        if stream.read(start) != _header(shape):
            raise _again(job.shards, f"'{source}' is damaged: its header is not the one that was written")
        for content, marker in said:
            a, b = content["rows"]
            if a == b == 0:
                continue
            stream.seek(start + a * _row_bytes(shape))
            found = _digest(stream, (b - a) * _row_bytes(shape))
            ours = tuple(content["shape"]) == shape and content["inputs"] == _read(job)
            if a != done or not ours or found != content["sha256"]:
                raise _again([marker], f"shard '{marker}' is damaged or of another run")
            done, facts = b, facts + content["facts"]
    if done != shape[0]:
        raise StudyError(f"the shards below '{source.parent}' cover {done} of {shape[0]} rows; run again")
    with contextlib.suppress(OSError):  # a file system without links: then a copy
        os.link(source, job.out / first["name"])
        return facts
    shutil.copyfile(source, job.out / first["name"])
    return facts


def _marker(path: Path) -> dict:
    """What a shard said at its end. Raises StudyError, and removes a marker that is none."""
    kinds = {"name": str, "shape": list, "rows": list, "facts": list, "sha256": str, "inputs": dict}
    try:
        said = read_json(path, "a shard's marker")
    except Unreadable as error:
        raise _again([path], str(error)) from None
    numbers = [*said.get("shape", [None]), *said.get("rows", [None])] if isinstance(said.get("shape"), list) else [None]
    fits = all(isinstance(said.get(key), kind) for key, kind in kinds.items()) and len(said["rows"]) == 2
    if not fits or not all(type(n) is int and n >= 0 for n in numbers) or Path(said["name"]).name != said["name"]:
        raise _again([path], f"'{path}' is damaged: it is not a shard's marker any more")
    return dict(said)


def _again(markers: list[Path], problem: str) -> StudyError:
    """The sentence for shards that cannot be used; their markers go, so that the next run makes them anew."""
    for marker in markers:
        if marker.is_dir() and not marker.is_symlink():
            shutil.rmtree(marker)
        marker.unlink(missing_ok=True)
    return StudyError(f"{problem}; run again, and these rows are made anew")


def _read(job: Job) -> dict[str, str]:
    """What a shard is made from: other bytes of an input make another array."""
    return {role: source.content for role, source in job.inputs.items()}


def _header(shape: tuple[int, ...]) -> bytes:
    """How the file of an array of this shape begins."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue()


def _row_bytes(shape: tuple[int, ...]) -> int:
    return 4 * math.prod(shape[1:])


def _prepared(path: Path, shape: tuple[int, ...]) -> int:
    """The file of the whole array, made by the first shard that comes; where its rows begin, in bytes."""
    start = len(_header(shape))
    size = start + shape[0] * _row_bytes(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
        raise StudyError(f"'{path}' is no file, and shards write there; remove it and run again")
    if not path.is_file() or path.stat().st_size != size or path.open("rb").read(start) != _header(shape):
        path.touch()
        with path.open("r+b") as out:  # two shards may be here at once: both write the same header, no rows
            out.write(_header(shape))
            out.truncate(size)
    return start


def _digest(stream, left: int) -> str:
    """SHA-256 of the next bytes of a stream."""
    digest = hashlib.sha256()
    while left and (block := stream.read(min(left, 2**22))):
        digest.update(block)
        left -= len(block)
    return digest.hexdigest()
