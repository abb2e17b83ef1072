"""How much faster FAISS's flat search is on the chosen OpenBLAS core than on OpenBLAS's own choice.

    python benchmarks/blas_neighbours.py [--baseline CORE]

Prints one JSON object; `ratio` is seconds without over seconds with the chosen core. `--baseline Prescott`
shows, on a processor that OpenBLAS knows, the cost on one that it does not.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

WORKFLOW = Path(__file__).resolve().parents[1] / "workflow"
sys.path.insert(0, str(WORKFLOW))

from guidance_study.execution import blas  # noqa: E402  (the package has no install step)

QUERIES, BANK, DIM, K, CHUNK, REPEATS = 4000, 20000, 768, 20, 1000, 3


def measure() -> dict:
    """Seconds of the fastest of a few searches, and the cores in use, of this process."""
    import faiss
    import numpy as np

    rng = np.random.default_rng(0)
    queries, bank = (rng.standard_normal((rows, DIM), dtype=np.float32) for rows in (QUERIES, BANK))
    faiss.knn(queries[:CHUNK], bank[:CHUNK], K)  # the first call starts the threads
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for start in range(0, QUERIES, CHUNK):
            faiss.knn(queries[start : start + CHUNK], bank, K)
        seconds.append(time.perf_counter() - started)
    return {"seconds": round(min(seconds), 3), "cores": blas.cores_in_use()}


def measure_with(core: str | None) -> dict:
    """`measure` in a process of its own: OpenBLAS reads the variable only when it is loaded."""
    environment = {name: value for name, value in os.environ.items() if name != blas.VARIABLE}
    if core is not None:
        environment[blas.VARIABLE] = core
    command = [sys.executable, __file__, "--measure"]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", metavar="CORE", help="compare with this core, not with OpenBLAS's own choice")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure()))
        return
    chosen = blas.choose_core()
    without = measure_with(arguments.baseline)
    report = {"search": f"{QUERIES} x {BANK} x {DIM}, k = {K}", "chosen": chosen, "without": without}
    if chosen is not None:
        report["with"] = measure_with(chosen)
        report["ratio"] = round(without["seconds"] / report["with"]["seconds"], 2)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
