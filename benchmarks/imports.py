"""What importing costs: milliseconds of a fresh interpreter, medians of nine."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.harness import Table

STATEMENTS = {
    "(an empty interpreter)": "pass",
    "import thalweg": "import thalweg",
    "thalweg --help": "import sys; sys.argv = ['thalweg', '--help']\nfrom thalweg.cli import main\nmain()",
    "import thalweg.records": "import thalweg.records",
    "import torch": "import torch",
    "thalweg.EmpiricalRisk": "import thalweg; thalweg.EmpiricalRisk",
}


def milliseconds(code: str) -> float:
    """One fresh interpreter running ``code``."""
    clock = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - clock)


def main(quick: bool = False) -> list[Table]:
    """A row for every statement."""
    rows = []
    for name, code in STATEMENTS.items():
        milliseconds(code)  # warms the file cache
        rows.append([name, f"{statistics.median(milliseconds(code) for _ in range(1 if quick else 9)):.0f}"])
    return [Table("What importing costs", ["statement", "ms"], rows, "A fresh interpreter each, medians of nine.")]
