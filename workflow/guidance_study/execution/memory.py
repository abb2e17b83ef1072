"""Peak memory of this process and of its GPU: a part of manifests, and of what the stage `cost` measures."""

import contextlib
import platform
import resource
import sys
from pathlib import Path
from types import ModuleType


def forget_peak() -> None:
    """Start the peak anew where the system can, for several artefacts made in one process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if (torch := cuda()) is not None:
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float]:
    """Peak resident memory, MiB, since `forget_peak` (elsewhere than on Linux: of the process), and the GPU's."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        unit = 1 << 20 if platform.system() == "Darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    found = {"peak_memory_mib": round(peak, 1)}
    if (torch := cuda()) is not None:
        found["peak_device_memory_mib"] = round(torch.cuda.max_memory_allocated() / (1 << 20), 1)
    return found


def cuda() -> ModuleType | None:
    """The torch module if this job computes on a GPU, else None; a stage that needed no torch had no device."""
    torch, models = sys.modules.get("torch"), sys.modules.get("guidance_study.networks.models")
    return torch if torch and models and models.device().type == "cuda" else None
