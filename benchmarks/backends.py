"""Which backend is chosen for which network, what it gains over the loop, and what the choice costs."""

from __future__ import annotations

import math
import time

from benchmarks import problems
from benchmarks.harness import Table, interleaved, median, ratio, threads


def main(quick: bool = False) -> list[Table]:
    """A row for every network."""
    rows, gains = [], []
    with threads(2):
        for name, make in problems.NETWORKS.items():
            if quick and not name.startswith(("1-4", "LSTM")):
                continue
            risk = problems.risk(make())
            loop, space = (problems.subspace(r) for r in (risk.with_backend("loop"), risk))
            coefficients = problems.grid(21)[: 4 if quick else 441]
            loop.evaluate(coefficients[:2])
            clock = time.perf_counter()
            space.measured()
            choice = time.perf_counter() - clock
            clock = time.perf_counter()
            loop.evaluate(coefficients[:2])
            points = max(2, min(441, int(1.0 / ((time.perf_counter() - clock) / 2))))
            some = coefficients[:points]
            times = interleaved(
                {"loop": lambda s=loop, c=some: s.evaluate(c), "ours": lambda s=space, c=some: s.evaluate(c)},
                1 if quick else 9,
            )
            gains.append(median(times["loop"]) / median(times["ours"]))
            share = choice / (441 * median(times["loop"]) / len(some))
            rows.append(
                [name, space.backend[0], ratio(times["loop"], times["ours"]), f"{100 * share:.1f} %", space.backend[1]]
            )
    geometric = math.exp(sum(math.log(g) for g in gains) / len(gains))
    note = (
        f"Filter-normalised planes, medians of nine interleaved repetitions; geometric mean {geometric:.2f}×, least "
        f"{min(gains):.2f}×. The choice, with its check and its trial, is a share of 441 points by the loop."
    )
    return [
        Table(
            "Backends, 2 threads",
            ["network", "backend", "against the loop", "choice", "reason in the record"],
            rows,
            note,
        )
    ]
