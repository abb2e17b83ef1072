"""Where torch.compile keeps its kernels: apart for each instruction set of x86, and each other kind of machine.

Its cache is shared by all processes of a user and, in a home of a cluster, by machines. What one instruction set left
there another takes, and the network computes something else without a word (seen with torch 2.15, AVX2 beside SSE4.1).
"""

import hashlib
import os
import platform
import re
import tempfile
from pathlib import Path

from guidance_study.execution.blas import processor_flags

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
# A user's own, below what the processor can do
LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "TORCHINDUCTOR_VEC_ISA_OK")


def set_kernel_cache() -> Path:
    """Put this instruction set's folder into the environment, below the user's own where there is one; return it."""
    can = [platform.machine(), *sorted(processor_flags()), *(f"{name}={os.environ.get(name, '')}" for name in LIMITS)]
    mine = f"isa-{hashlib.sha256(' '.join(can).encode()).hexdigest()[:12]}"
    base = Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / f"torchinductor_{os.getuid()}")
    own = re.fullmatch(r"isa-[0-9a-f]{12}", base.name)  # set here before, by this process or its parent
    folder = base.parent / mine if own else base / mine
    os.environ[VARIABLE] = str(folder)
    return folder
