"""Peak memory and cost per point of a large grid on many rows; in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.harness import Table

_SCRIPT = """
import json, resource, sys, time
import torch
from benchmarks import problems
torch.set_num_threads(2)
steps, rows = int(sys.argv[1]), int(sys.argv[2])
risk = problems.risk(problems.perceptron(784, 64, 64, 10, rows=rows))
space = problems.subspace(risk)
space.evaluate(problems.grid(3))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
taken = {}
for n in (21, steps):
    runs = []
    for _ in range(3 if n == 21 else 1):
        space.kept = {"choice": space.kept["choice"]}
        clock = time.perf_counter()
        space.evaluate(problems.grid(n))
        runs.append((time.perf_counter() - clock) / n**2)
    taken[n] = sorted(runs)[len(runs) // 2]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kept = sum(p.bytes for key, p in space.kept.items() if key != "choice")
print(json.dumps({"before": before, "after": after, "small": taken[21], "large": taken[steps], "kept": kept}))
"""


BOUND = 512
"""MiB by which a grid of any size may raise the peak: prefixes up to 256, activations of a chunk, and what is freed."""


def main(quick: bool = False) -> list[Table]:
    """201×201 points on 10,000 rows of a 784-64-64-10 network."""
    steps, rows = (31, 1000) if quick else (201, 10_000)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(steps), str(rows)], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    before, after = found["before"] / 1024, found["after"] / 1024
    row = [
        f"{steps}×{steps}",
        f"{rows:,}",
        f"{before:.0f}",
        f"{after - before:.0f}",
        f"{found['kept'] / 2**20:.0f}",
        f"{1000 * found['small']:.3f}",
        f"{1000 * found['large']:.3f}",
        f"{found['large'] / found['small']:.2f}×",
    ]
    return [
        Table(
            "Memory and cost of a large grid, 784-64-64-10",
            ["grid", "rows", "peak before, MiB", "grows by", "prefix", "ms per point, 21×21", "ms per point", "ratio"],
            [row],
            "Peak resident memory of a process that holds the objective and has drawn 3×3 points, and by how much "
            f"21×21 and this grid raise it; the bound is {BOUND} MiB whatever the grid, and it is "
            f"{'kept' if after - before <= BOUND else 'broken'}. Ratio: cost per point against 21×21.",
        )
    ]
