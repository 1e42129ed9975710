"""Which backend is chosen for which network, what it gains over the loop, and what the choice costs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from benchmarks import problems
from benchmarks.harness import Table, interleaved, median, ratio, threads

GRID = 441
"""Points of a 21×21 grid, of which the choice is a share."""


def _choices(make: Callable[[], problems.Problem], count: int) -> tuple[list[str], list[float]]:
    """What new objectives choose, and the seconds it takes them; the network's first run is not counted."""
    names, seconds = [], []
    for _ in range(count):
        space = problems.subspace(problems.risk(make()))
        problems.subspace(space.objective.with_backend("loop")).evaluate(problems.grid(2)[:2])
        assert space.touched  # the directions are drawn: every backend needs them
        clock = time.perf_counter()
        space.measured()
        seconds.append(time.perf_counter() - clock)
        names.append(space.backend[0])
    return names, seconds


def _row(name: str, make: Callable[[], problems.Problem], quick: bool) -> tuple[list[str], float]:
    risk = problems.risk(make())
    loop, space = (problems.subspace(r) for r in (risk.with_backend("loop"), risk))
    chosen, seconds = _choices(make, 1 if quick else 3)
    backend, reason = space.backend
    coefficients = problems.grid(21)[: 4 if quick else GRID]
    clock = time.perf_counter()
    loop.evaluate(coefficients[:2])
    some = coefficients[: max(2, min(GRID, int(2.0 / (time.perf_counter() - clock))))]  # about a second of the loop
    works = {"loop": lambda: loop.evaluate(some), "ours": lambda: space.evaluate(some)}
    times = interleaved(works, 1 if quick else 9)
    share = median(seconds) / (GRID * median(times["loop"]) / len(some))
    alike = chosen.count(backend)
    said = backend if alike == len(chosen) else f"{backend} (again in {alike} of {len(chosen)} trials)"
    gain = median(times["loop"]) / median(times["ours"])
    return [name, said, ratio(times["loop"], times["ours"]), f"{100 * share:.1f} %", reason], gain


def main(quick: bool = False) -> list[Table]:
    """A row for every network."""
    with threads(1 if quick else 2):
        wanted = [n for n in problems.NETWORKS if not quick or n.startswith(("1-4", "LSTM"))]
        found = [_row(name, problems.NETWORKS[name], quick) for name in wanted]
    gains = [gain for _, gain in found]
    geometric = math.exp(sum(map(math.log, gains)) / len(gains))
    note = (
        f"Filter-normalised planes, medians of nine interleaved repetitions; geometric mean {geometric:.2f}×, least "
        f"{min(gains):.2f}×. The choice, with its check and its trial, is a share of 441 points by the loop: the "
        "median of three new objectives, their directions drawn beforehand."
    )
    columns = ["network", "backend", "against the loop", "choice", "reason in the record"]
    return [Table("Backends, 2 threads", columns, [row for row, _ in found], note)]
