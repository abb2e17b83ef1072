"""Which OpenBLAS kernels run: chosen from the processor's flags, before numpy or faiss is imported.

OpenBLAS picks its kernels, a "core", by the processor's family and model. One that is older than the
processor, as the one inside the faiss-cpu wheel often is, does not know the model, nor does one on a
virtual machine that hides it; it then takes a generic core and multiplies matrices three to four times
slower. The flags tell what the processor can do, whatever it is called. Nothing but the standard library is
imported here, because OpenBLAS reads the environment variable once, when it is loaded.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"

_AVX = frozenset({"ssse3", "sse4_1", "sse4_2", "popcnt", "avx"})
_AVX2 = _AVX | {"avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe"}
_AVX512 = _AVX2 | {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}

# Fastest first. A core whose instructions are missing ends the process, so each asks for all that its
# compiler target may emit, more than its kernels are known to use. Any OpenBLAS of use here knows these
# names; it may not know later ones (Cooperlake, SapphireRapids) or Zen, which is no faster than Haswell.
CORES: tuple[tuple[str, frozenset[str]], ...] = (
    ("SkylakeX", _AVX512),
    ("Haswell", _AVX2),
    ("Sandybridge", _AVX),
)


def processor_flags(cpuinfo: str | Path = "/proc/cpuinfo") -> set[str]:
    """The flags that all x86 processors of this machine share, as Linux names them; empty where unknown."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return set()
    try:
        lines = Path(cpuinfo).read_text().splitlines()
    except OSError:
        return set()
    each = [set(value.split()) for key, _, value in (line.partition(":") for line in lines) if key.strip() == "flags"]
    return set.intersection(*each) if each else set()


def choose_core(flags: set[str] | None = None) -> str | None:
    """The fastest OpenBLAS core all of whose instructions are among `flags` (default: this machine's).

    None where the flags are unknown (macOS, Windows, ARM) or too few: OpenBLAS then chooses by itself.
    """
    have = processor_flags() if flags is None else flags
    return next((core for core, needs in CORES if needs <= have), None)


def set_core() -> str | None:
    """Put the chosen core into the environment, for this process and its children; return what is in force.

    Call it before the first import of numpy or faiss: an OpenBLAS that is loaded already keeps its core. A
    setting of the user's own is left alone. None: nothing is set, OpenBLAS chooses by itself.
    """
    core = choose_core()
    if core is not None:
        os.environ.setdefault(VARIABLE, core)
    return os.environ.get(VARIABLE)


def cores_in_use() -> str:
    """The core that each OpenBLAS in this process took, as one line: "faiss_cpu 0.3.15: Haswell, numpy ...".

    Only what is imported already is seen.
    """
    from threadpoolctl import threadpool_info

    found = set()
    for library in threadpool_info():
        if library["internal_api"] == "openblas":
            owner = Path(library["filepath"]).parent.name.removesuffix(".libs")
            found.add(f"{owner} {library['version']}: {library['architecture']}")
    return ", ".join(sorted(found)) or "no OpenBLAS is loaded"
