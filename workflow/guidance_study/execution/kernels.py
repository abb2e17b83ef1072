"""Where torch.compile keeps its kernels: apart for each instruction set.

Its cache is shared by all processes of a user and, in a home of a cluster, by machines. What one instruction set left
there another takes, and the network computes something else without a word (seen with torch 2.15, AVX2 beside SSE4.1).
"""

import hashlib
import os
import tempfile
from pathlib import Path

from guidance_study.execution.blas import processor_flags

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")  # a user's own, below what the processor can do


def set_kernel_cache() -> Path:
    """Put this instruction set's folder into the environment, below the user's own where there is one; return it."""
    can = [*sorted(processor_flags()), *(f"{name}={os.environ.get(name, '')}" for name in LIMITS)]
    mine = f"isa-{hashlib.sha256(' '.join(can).encode()).hexdigest()[:12]}"
    base = Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / f"torchinductor_{os.getuid()}")
    folder = base.parent / mine if base.name.startswith("isa-") else base / mine  # a parent's, or this process's own
    os.environ[VARIABLE] = str(folder)
    return folder
