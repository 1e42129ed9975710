"""Peak memory and cost per point of a large grid on many rows; in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Table

_SCRIPT = """
import json, sys, time
import torch
from benchmarks import problems
from benchmarks.memory import peak, resident
torch.set_num_threads(2)
steps, rows = int(sys.argv[1]), int(sys.argv[2])
risk = problems.risk(problems.perceptron(784, 64, 64, 10, rows=rows))
space = problems.subspace(risk)
space.evaluate(problems.grid(3))
held, taken, high = resident(), {21: [], steps: []}, {}
for n in (*[21] * 5, steps, *[21] * 5):
    space.kept = {"choice": space.kept["choice"]}
    with peak() as seen:
        clock = time.perf_counter()
        space.evaluate(problems.grid(n))
        taken[n].append((time.perf_counter() - clock) / n**2)
    high.setdefault(n, seen[0])
kept = sum(p.bytes for key, p in space.kept.items() if key != "choice")
cost = {n: sorted(runs)[len(runs) // 2] for n, runs in taken.items()}
print(json.dumps([held, high[21], high[steps], cost[21], cost[steps], kept]))
"""


BOUND = 512
"""MiB by which a grid of any size may raise the peak: prefixes up to 256, activations of a chunk, and what is freed."""


def main(quick: bool = False) -> list[Table]:
    """201×201 points on 10,000 rows of a 784-64-64-10 network."""
    steps, rows = (31, 1000) if quick else (201, 10_000)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(steps), str(rows)], capture_output=True, text=True, check=True
    )
    held, small, large, cost_small, cost_large, kept = json.loads(done.stdout)
    row = [
        f"{steps}×{steps}",
        f"{rows:,}",
        *(f"{kib / 1024:.0f}" for kib in (held, small, large)),
        f"{kept / 2**20:.0f}",
        f"{1000 * cost_small:.3f}",
        f"{1000 * cost_large:.3f}",
        f"{cost_large / cost_small:.2f}×",
    ]
    within = (large - held) / 1024 <= BOUND
    return [
        Table(
            "Memory and cost of a large grid, 784-64-64-10",
            ["grid", "rows", "held", "peak, 21×21", "peak", "prefix", "ms per point, 21×21", "ms per point", "ratio"],
            [row],
            "MiB resident: of a process that holds the objective and has drawn 3×3 points, and at most during each "
            f"grid. A grid of any size may add {BOUND} MiB; this is {'kept' if within else 'broken'}. Ratio: cost per "
            "point against 21×21, of which five are drawn before the large grid and five after it.",
        )
    ]


def resident(field: str = "VmRSS") -> int:
    """KiB of this process that are resident now, or at most (``VmHWM``)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


@contextmanager
def peak() -> Iterator[list[int]]:
    """The largest resident KiB while the context was open, whatever came before it."""
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far
    seen: list[int] = []
    yield seen
    seen.append(resident("VmHWM"))
