"""What every rule's script imports. Snakemake puts this folder on sys.path; the package needs no install step."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guidance_study.execution.script import download, run, shard

__all__ = ["download", "run", "shard"]
