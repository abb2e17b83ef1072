"""The numeric tests again, as older processors would run them: the libraries' instruction sets cut down.

python tests/instruction_sets.py [arguments for pytest]

A process for each, because torch, oneDNN and OpenBLAS read these variables once, when they are loaded. Sets that this
processor does not exceed cut nothing down: they are named and left out.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

BELOW_ANY = ["ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41", "OPENBLAS_CORETYPE=Prescott"]
BELOW_AVX512 = ["ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2", "ONEDNN_MAX_CPU_ISA=AVX512_CORE"]


def run(setting: str) -> bool:
    """Whether all pass; prints pytest's last line, and all it said where one fails."""
    command = [sys.executable, "-m", "pytest", "-m", "numeric and not slow", *sys.argv[1:]]
    top = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        command,
        cwd=top,
        env=os.environ | dict(pair.split("=") for pair in setting.split()) | {"OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        print(done.stdout)
    print(f"{setting}: {(done.stdout.splitlines() or ['no output'])[-1]}", flush=True)
    return done.returncode == 0


def main() -> None:
    has = torch.backends.cpu.get_cpu_capability()
    print(f"The numeric tests on a processor with {has}, its instruction sets cut down:", flush=True)
    if has != "AVX512":
        print(f"nothing to cut down to: {', '.join(BELOW_AVX512)}", flush=True)
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # a core each: the tests' arrays are small
        passed = list(pool.map(run, BELOW_ANY + BELOW_AVX512 * (has == "AVX512")))
    sys.exit(not all(passed))


if __name__ == "__main__":
    main()
