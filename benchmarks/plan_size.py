"""How long a plan of 1,000 and of 10,000 jobs takes to build, and a dry run of it. Prints JSON.

python benchmarks/plan_size.py [--dry-run]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "workflow"))

from guidance_study.config.loading import parse, read  # noqa: E402
from guidance_study.plan.plan import Plan  # noqa: E402

TABLES = ("table_digits", "table_digits_nn", "table_digits_quality")


def study(jobs: int) -> dict:
    """config.yaml's digits with as many evaluated scales and seeds as make about this many jobs."""
    config = read(TOP / "config.yaml")
    config["seeds"] = list(range(10))
    scales = [round(1 + 0.01 * i, 2) for i in range(max(1, (jobs - 170) // 80))]
    for name in ("digits_cfg", "digits_cg"):
        config["experiments"][name]["evaluation"]["scales"] = scales
    config["tables"]["table_digits_quality"]["scales"] = scales[:1]
    config["tables"] = {name: config["tables"][name] for name in TABLES}
    return config | {"figures": {}, "trajectories": {}, "all": list(TABLES)}


def built(jobs: int) -> dict:
    """Jobs and seconds of a plan, the configuration's validation included."""
    config = study(jobs)
    began = time.perf_counter()
    plan = Plan(parse(config))
    found = {"jobs": len(plan.ancestors(list(TABLES))) + 1, "plan_seconds": time.perf_counter() - began}
    if "--dry-run" in sys.argv:
        found["dry_run_seconds"] = dry_run(config)
    return found


def dry_run(config: dict) -> float:
    """Seconds of `snakemake -n` with empty results."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps(config))
        for name in ("Snakefile", "workflow", "profiles", "envs"):
            (Path(folder) / name).symlink_to(TOP / name)
        (Path(folder) / "config.yaml").write_text(path.read_text())
        began = time.perf_counter()
        command = [sys.executable, "-m", "snakemake", "-n", "-q", "--cores", "2"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - began


def main() -> None:
    small, large = built(1000), built(10000)
    growth = (large["plan_seconds"] / large["jobs"]) / (small["plan_seconds"] / small["jobs"])
    result = {"small": small, "large": large, "seconds_per_job_large_over_small": growth}
    if "--dry-run" in sys.argv:
        rates = [found["dry_run_seconds"] / found["jobs"] for found in (small, large)]
        result["dry_run_per_job_large_over_small"] = rates[1] / rates[0]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
