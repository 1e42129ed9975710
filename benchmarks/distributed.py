"""One plane by one process and by two ranks of one thread each: what handing out tasks costs."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Table

SUBJECT = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    widths = [784, 256, 256, 10]
    layers = [part for a, b in zip(widths, widths[1:]) for part in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss(), (torch.randn({rows}, 784), torch.arange({rows}) % 10)
"""


def wall(folder: Path, ranks: int, steps: int) -> tuple[float, float, int]:
    """Seconds of the plan on the clock of rank 0, seconds of all its tasks together, and how many there were."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    launch = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={ranks}",
        "-m",
        "benchmarks.timed_tasks",
    ]
    command = [sys.executable, *(launch if ranks > 1 else launch[-2:]), str(folder / "times.json")]
    command += ["plane", f"{folder}/net.py:make", "--steps", str(steps), "--backend", "loop", "--threads", "1"]
    known = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(out)], check=True, env=known, capture_output=True)
    found = json.loads((folder / "times.json").read_text())
    return found["seconds"], found["work"], found["tasks"]


def main(quick: bool = False) -> list[Table]:
    """Medians of five, one and two ranks in turn."""
    rows, steps, repeats = (64, 5, 1) if quick else (4096, 31, 5)
    folder = Path(tempfile.mkdtemp())
    (folder / "net.py").write_text(SUBJECT.format(rows=rows))
    try:
        runs = [[wall(folder, ranks, steps) for ranks in (1, 2)] for _ in range(repeats)]
    finally:
        shutil.rmtree(folder)
    alone, shared = (statistics.median(run[i][0] for run in runs) for i in (0, 1))
    pairs = sorted(run[0][0] / (2 * run[1][0]) for run in runs)
    row = [
        f"784-256-256-10, {rows:,} rows",
        f"{steps}×{steps} in {runs[0][1][2]} tasks",
        f"{alone:.1f}",
        f"{shared:.1f}",
        f"{statistics.median(pairs):.2f} [{pairs[0]:.2f}, {pairs[-1]:.2f}]",
        f"{statistics.median(run[1][1] for run in runs) / alone:.2f}",
    ]
    columns = ["network", "points", "one process, s", "two ranks, s", "efficiency", "work"]
    note = (
        "Seconds of the plan, from measuring the size of a task to reading all values back: medians of five, one "
        "process and two ranks in turn; start-up and figures are excluded. Efficiency: seconds of one over twice "
        "those of two, with the least and the largest of the five. Work: seconds of all tasks of two ranks over those "
        "of one process; what is above 1 is memory and caches that the ranks share, not the handing out."
    )
    return [Table("Points over two ranks, one thread each", columns, [row], note)]
